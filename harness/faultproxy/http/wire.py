"""Rules as the API takes and shows them: strict JSON, every mistake a 400 that names it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from harness.faultproxy.errors import bad_request_body, missing_field
from harness.faultproxy.http.actions import (
    Action,
    Answer,
    Corrupt,
    Delay,
    Distribution,
    Duplicate,
    Hang,
    LoseReply,
    NullField,
    ResetRequest,
    SlowBody,
    Truncate,
)
from harness.faultproxy.http.scope import Scope

LONGEST_S = 86_400.0
MOST_BYTES = 2**40
MOST_ANSWER_BYTES = 1024 * 1024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}\Z")
_TRACE = re.compile(r"[0-9a-f]{32}\Z")

ACTIONS: dict[str, type[Action]] = {
    "delay": Delay,
    "answer": Answer,
    "hang": Hang,
    "reset_request": ResetRequest,
    "lose_reply": LoseReply,
    "truncate": Truncate,
    "corrupt": Corrupt,
    "slow_body": SlowBody,
    "null_field": NullField,
    "duplicate": Duplicate,
}


@dataclass(frozen=True, slots=True)
class RuleRequest:
    """A rule that was asked for, fully checked except for its proxy."""

    name: str
    proxy: str
    scope: Scope
    action: Action

    def as_json(self) -> dict[str, object]:
        """Return what the API shows."""
        scope = {name: value for name, value in asdict(self.scope).items() if value not in (None, {})}
        return {"name": self.name, "proxy": self.proxy, "scope": scope, "action": _shown(self.action)}


def parse_rule(raw: object) -> RuleRequest:
    """Read a rule. Raises ApiError (400)."""
    given = read_object(raw, "rule", ("name", "proxy", "scope", "action"))
    name, proxy = read_text(given.get("name", ""), "name"), read_text(given.get("proxy", ""), "proxy")
    if not name:
        raise missing_field("name")
    if not proxy:
        raise missing_field("proxy")
    if "action" not in given:
        raise missing_field("action")
    return RuleRequest(name, proxy, _parse_scope(given.get("scope", {})), _parse_action(given["action"]))


def _parse_scope(raw: object) -> Scope:
    given = read_object(raw, "scope", [spec.name for spec in fields(Scope)])
    return Scope(**{name: _SCOPE_PARTS[name](value, f"scope.{name}") for name, value in given.items()})


def _parse_action(raw: object) -> Action:
    kind = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(kind, str) or kind not in ACTIONS:
        raise bad_request_body(f"action.type must be one of {', '.join(ACTIONS)}, not {kind!r}")
    action = ACTIONS[kind]
    given = read_object(raw, "action", ["type", *(spec.name for spec in fields(action))])
    for spec in fields(action):
        if spec.name not in given and spec.default is MISSING and spec.default_factory is MISSING:
            raise missing_field(f"action.{spec.name}")
    values = {name: _ATTRIBUTES[name](value, f"action.{name}") for name, value in given.items() if name != "type"}
    return _consistent(action(**values))


def _consistent(action: Action) -> Action:
    if isinstance(action, Delay) and action.jitter_s and action.distribution is Distribution.FIXED:
        raise bad_request_body("action.jitter_s needs a distribution: uniform, normal or pareto")
    return action


def _shown(action: Action) -> dict[str, object]:
    kind = next(name for name, known in ACTIONS.items() if known is type(action))
    plain = {name: getattr(value, "value", value) for name, value in asdict(action).items()}
    return {"type": kind, **plain}


# -- values ------------------------------------------------------------------------------------------------------------

Parse = Callable[[object, str], Any]


def read_object(raw: object, what: str, known: Sequence[str]) -> Mapping[str, object]:
    """Return the object without its nulls."""
    if not isinstance(raw, dict):
        raise bad_request_body(f"{what} must be an object")
    for name in raw:
        if name not in known:
            raise bad_request_body(f"{what} has no {name!r}; it has {', '.join(known)}")
    return {name: value for name, value in raw.items() if value is not None}


def read_text(value: object, where: str) -> str:
    """Return *value*, which must be text that can be printed."""
    if not isinstance(value, str) or not value.isprintable():
        raise bad_request_body(f"{where} must be a string of printable characters")
    return value


def _some_text(value: object, where: str) -> str:
    if not read_text(value, where):
        raise bad_request_body(f"{where} must not be empty")
    return str(value)


def _number(low: float, high: float) -> Parse:
    def parse(value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_request_body(f"{where} must be a number, not {value!r}")
        if not low <= value <= high:
            raise bad_request_body(f"{where} must lie between {low:g} and {high:g}, not {value}")
        return float(value)

    return parse


def _whole(low: int, high: int) -> Parse:
    def parse(value: object, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise bad_request_body(f"{where} must be a whole number between {low} and {high}, not {value!r}")
        return value

    return parse


def _headers(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise bad_request_body(f"{where} must be an object")
    for name, text in value.items():
        if not _TOKEN.match(name) or not isinstance(text, str) or not _is_header_value(text):
            raise bad_request_body(f"{where}: {name!r}: {text!r} is no header")
    return value


def _is_header_value(text: str) -> bool:
    return text.isprintable() and all(ord(letter) < 256 for letter in text)


def _answer_headers(value: object, where: str) -> dict[str, str]:
    headers = _headers(value, where)
    for name in headers:
        if name.lower() in ("content-length", "transfer-encoding", "connection"):
            raise bad_request_body(f"{where}: {name} is the proxy's own")
    return headers


def _body(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value.encode("utf-8", "surrogatepass")) > MOST_ANSWER_BYTES:
        raise bad_request_body(f"{where} must be a string of at most {MOST_ANSWER_BYTES} bytes")
    return value


def _method(value: object, where: str) -> str:
    if not isinstance(value, str) or not _TOKEN.match(value):
        raise bad_request_body(f"{where} must be a method of HTTP, not {value!r}")
    return value


def _trace(value: object, where: str) -> str:
    if not isinstance(value, str) or not _TRACE.match(value):
        raise bad_request_body(f"{where} must be 32 hexadecimal digits in lower case")
    return value


def _distribution(value: object, where: str) -> Distribution:
    try:
        return Distribution(value)
    except ValueError:
        known = ", ".join(known.value for known in Distribution)
        raise bad_request_body(f"{where} must be one of {known}, not {value!r}") from None


_SCOPE_PARTS: dict[str, Parse] = {
    "tenant": _some_text,
    "method": _method,
    "route": _some_text,
    "header": _headers,
    "share": _number(0, 1),
    "next": _whole(1, 2**53),
    "trace": _trace,
}
_ATTRIBUTES: dict[str, Parse] = {
    "latency_s": _number(0, LONGEST_S),
    "jitter_s": _number(0, LONGEST_S),
    "ramp_s": _number(0, LONGEST_S),
    "distribution": _distribution,
    "status": _whole(200, 599),
    "headers": _answer_headers,
    "body": _body,
    "bytes": _whole(0, MOST_BYTES),
    "rate": _whole(1, MOST_BYTES),
    "path": _some_text,
}
