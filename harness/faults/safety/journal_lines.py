"""One line of an undo journal: what may stand there, and why a line cannot be read."""

import json
import math
import re
from dataclasses import MISSING, Field, fields
from typing import Any

from harness.faults.acts_catalogue import act_named
from harness.faults.safety.acts import Act

VERSION = 1
"""Of the format of an entry; entries of the first release have none."""
HALTED = {"halted": True}
TORN = {"torn": True}
"""Follows a line that a kill cut off: only then is a line that cannot be read no loss."""

RESERVED = frozenset({"number", "what", "version", "done", "lifted", "halted", "torn"})
"""Keys of a line that no field of an act may be called."""

_HEADS = (b'{"number": ', b'{"done": ', b'{"lifted": ', b'{"halted": ', b'{"torn": ')
_TEXT = rb'"(?:[ !#-\[\]-~]|\\[ -~])*+'
_VALUE = rb"(?:" + _TEXT + rb'"|[-+.0-9a-z]{1,40})'
_CUT_OFF = re.compile(
    rb"\{(?:"
    + _TEXT
    + rb'": '
    + _VALUE
    + rb", )*+(?:"
    + _TEXT
    + rb'(?:\\|"(?:: ?(?:'
    + _TEXT
    + rb'(?:\\|")?|[-+.0-9a-z]{0,40}),?)?)?)?'
)
"""A flat object without its closing brace."""
_TYPES: dict[object, type] = {t: t for t in (str, int, float, bool)} | {t.__name__: t for t in (str, int, float, bool)}
_LARGEST = 2**63


class UnreadableLineError(Exception):
    """The line is not what a harness of this version writes; the text says why."""


def parsed(line: bytes) -> dict[str, Any]:
    """Return the JSON object that *line* holds.

    Raises:
        UnreadableLineError: it holds anything else.
    """
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        msg = "it is not UTF-8"
        raise UnreadableLineError(msg) from None
    except RecursionError:
        msg = "it is nested too deeply"
        raise UnreadableLineError(msg) from None
    except ValueError as problem:
        msg = f"it is not JSON: {problem}"
        raise UnreadableLineError(msg) from None
    if not isinstance(content, dict):
        msg = f"it is a JSON {type(content).__name__}, not an object"
        raise UnreadableLineError(msg)
    return content


def _no_constant(name: str) -> float:
    msg = f"{name} is no number"
    raise ValueError(msg)


def marked(content: dict[str, Any]) -> dict[str, Any]:
    """Return *content*, an act or a mark whose numbers are numbers.

    Raises:
        UnreadableLineError: it is neither.
    """
    if content in (HALTED, TORN):
        return content
    kinds = [key for key in ("number", "done", "lifted") if key in content]
    if len(kinds) != 1:
        msg = "it is neither an act nor a mark"
        raise UnreadableLineError(msg)
    number = content[kinds[0]]
    if type(number) is not int or not 0 <= number < _LARGEST:
        msg = f"{kinds[0]!r} must be a whole number, not {_short(number)}"
        raise UnreadableLineError(msg)
    return content


def act_in(content: dict[str, Any]) -> Act:
    """Return the act that *content* describes.

    Raises:
        UnreadableLineError: no kind of fault has it, or its fields are not those of this version.
    """
    version, what = content.get("version", VERSION), content.get("what")
    if type(version) is not int or version != VERSION:
        msg = f"it was written by another version ({_short(version)}; this one reads {VERSION})"
        raise UnreadableLineError(msg)
    act = act_named(what) if isinstance(what, str) else None
    if act is None:
        msg = f"no fault kind has an act {_short(what)}: a newer version wrote it, or its plugin is not installed"
        raise UnreadableLineError(msg)
    known = {field.name: field for field in fields(act)}
    if unknown := content.keys() - known.keys() - RESERVED:
        msg = f"{act.what!r} has no field {_short(min(unknown))}: a newer version wrote it"
        raise UnreadableLineError(msg)
    return act(**{name: _value(content, field) for name, field in known.items()})


def _value(content: dict[str, Any], field: "Field[Any]") -> Any:
    if field.name not in content:
        if field.default is not MISSING:
            return field.default
        msg = f"the field {field.name!r} is missing"
        raise UnreadableLineError(msg)
    value, wanted = content[field.name], _TYPES.get(field.type)
    if wanted is float and type(value) is int and abs(value) < _LARGEST:
        return float(value)
    if wanted is None or type(value) is not wanted or not _is_sound(value):
        msg = f"{field.name!r} must be {_name(wanted)}, not {_short(value)}"
        raise UnreadableLineError(msg)
    return value


def _is_sound(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return -_LARGEST <= value < _LARGEST and math.isfinite(value)


def _name(wanted: type | None) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(
        wanted or object, "text or a number"
    )


def _short(value: Any) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def is_cut_off(line: bytes) -> bool:
    """Say whether *line*, the last one and without an end, is the beginning of a line that a harness writes."""
    return any(line.startswith(head[: len(line)]) for head in _HEADS) and bool(_CUT_OFF.fullmatch(line))
