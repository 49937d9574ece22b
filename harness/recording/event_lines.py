"""The lines of events.jsonl, understood: what this version knows, what it only keeps, what a kill cut short."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from harness.model.errors import DamagedRecordingError
from harness.model.run.events import Event, Kind, Value
from harness.recording.event_log import EVENT_KEYS
from harness.recording.files import read_bytes
from harness.recording.strict_json import parse_text, text_of

_LAST_MOMENT = 2**63
_WORD_LIMITS = (-(2**63), 2**64)  # numbers that fit 64 bits, signed or not
_HALF_WORDS = ("true", "false", "null")


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """An event of a kind that this version does not know, kept as it stands; nobody here judges by it."""

    time_ns: int
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Line: TypeAlias = Event | ForeignEvent | None
"""None is a line that was cut short by the kill of its writer."""


def read_lines(path: Path) -> Iterator[Line]:
    """Yield what each line of *path* holds, in their order; a file that does not exist holds nothing.

    Raises:
        DamagedRecordingError: a line is neither an event nor the beginning of one; it names file and line.
    """
    try:
        raw = read_bytes(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DamagedRecordingError(path, error.strerror or str(error)) from None
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            yield _line(line, path, number)


def _line(raw: bytes, path: Path, number: int) -> Line:
    try:
        text = text_of(raw)
        try:
            return _event(parse_text(text))
        except json.JSONDecodeError as error:
            if is_cut_short(text, error):
                return None
            msg = f"not JSON: {error.msg} at column {error.colno}"
            raise ValueError(msg) from None
    except ValueError as error:
        raise DamagedRecordingError(path, str(error), line=number) from None


def is_cut_short(text: str, error: json.JSONDecodeError) -> bool:
    """Say whether *text* is the beginning of an event: whatever stands there is right, only the rest is missing."""
    if not text.startswith("{"):
        return False
    if error.msg.startswith(("Unterminated string", "Invalid \\uXXXX", "Invalid \\escape")):
        return _ends_within_a_string(text)
    rest = text[error.pos :].strip()
    return not rest or _is_half_a_value(rest)


def _ends_within_a_string(text: str) -> bool:
    return '"' not in text[text.rindex('"') + 1 :] and _open_quotes(text)


def _open_quotes(text: str) -> bool:
    inside, escaped = False, False
    for character in text:
        if escaped:
            escaped = False
        elif inside and character == "\\":
            escaped = True
        elif character == '"':
            inside = not inside
    return inside


def _is_half_a_value(rest: str) -> bool:
    return any(word.startswith(rest) for word in _HALF_WORDS) or rest in ("-", ".", "e", "e-", "e+", "E", "E-", "E+")


def _event(content: object) -> Event | ForeignEvent:
    if not isinstance(content, dict):
        msg = f"an event is an object, this line holds a {type(content).__name__}"
        raise ValueError(msg)  # noqa: TRY004  told with file and line by the caller
    time_ns, kind = _time(content), content.get("kind")
    if not isinstance(kind, str):
        msg = "an event says its kind, a text; this line does not"
        raise ValueError(msg)  # noqa: TRY004
    fields = {_field_name(key): value for key, value in content.items() if key not in EVENT_KEYS}
    known = _known(kind)
    if known is None:
        return ForeignEvent(time_ns, kind, fields)
    return Event(time_ns, known, {key: _value(key, value) for key, value in fields.items()})


def _time(content: Mapping[str, Any]) -> int:
    time_ns = content.get("time")
    if isinstance(time_ns, int) and not isinstance(time_ns, bool) and 0 <= time_ns < _LAST_MOMENT:
        return time_ns
    shown = json.dumps(time_ns)[:40] if "time" in content else "none"
    msg = f"an event's time is a whole number of nanoseconds, this line has {shown}"
    raise ValueError(msg)


def _known(kind: str) -> Kind | None:
    try:
        return Kind(kind)
    except ValueError:
        return None


def _value(key: str, value: Any) -> Value:
    """Return a field as events hold it; what is nested stays as its JSON text."""
    if isinstance(value, list | dict):
        return json.dumps(value)
    if isinstance(value, int) and not _WORD_LIMITS[0] <= value < _WORD_LIMITS[1]:
        msg = f"the number of {key!r} is too large"
        raise ValueError(msg)
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair could not be printed
    return value if isinstance(value, str | int | float | None) else str(value)


def _field_name(key: str) -> str:
    """Undo what the writer does to fields that are called like the line's own keys."""
    return key[:-1] if key[:-1] in EVENT_KEYS else key
