"""What each kind of fault can be given, read from the model that scenarios are checked with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.model.files.fault_kinds.declared import added_kinds, every_kind
from harness.model.files.fault_kinds.row import FaultKind, Option
from harness.model.files.faults import Fault

_REF = "#/$defs/"
_BEFORE = (Option.TOXICITY, Option.STREAM, Option.SCOPE, Option.RAMP)
_WORDS = {"boolean": "true", "integer": "whole number", "number": "number", "object": "mapping", "string": "text"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be said of a fault; an empty default means that it must be given, or is absent."""

    name: str
    type: str
    default: str
    about: str


def parameters_of(kind: str) -> list[Parameter]:
    """Return the parameters of a kind, its own first; dots lead into a mapping: "latency.jitter"."""
    schema, options = _schema(added_kinds()), every_kind()[kind].options
    found = [*_own(kind, schema)]
    further = [option.value for option in _BEFORE if option in options]
    repeat = [Option.REPEAT.value] if Option.REPEAT in options else []
    for name in (*further, "start", "duration", *repeat):
        found += _own(name, schema)
    return found


def _own(name: str, schema: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield a property of a fault: itself, or the parts of the mapping that it is."""
    shown = schema["properties"][name]
    parts = _definition(shown, schema)
    if parts is None:
        yield _parameter(name, shown)
        return
    for part, inner in parts["properties"].items():
        yield _parameter(f"{name}.{part}", inner)


def _definition(shown: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for choice in (shown, *shown.get("anyOf", ())):
        if str(choice.get("$ref", "")).startswith(_REF):
            definition: Mapping[str, Any] = schema["$defs"][choice["$ref"].removeprefix(_REF)]
            return definition
    return None


def _parameter(name: str, shown: Mapping[str, Any]) -> Parameter:
    choices = [choice for choice in shown.get("anyOf", [shown]) if choice.get("type") != "null"]
    return Parameter(name, " or ".join(_type(choice) for choice in choices), _default(shown), _about(shown))


def _type(shown: Mapping[str, Any]) -> str:
    if examples := shown.get("examples"):
        return f"such as {' or '.join(map(str, examples))}"
    pattern = str(shown.get("pattern", ""))
    if "|" in pattern and pattern[:2] == "^(" and pattern[-2:] == ")$":
        return pattern[2:-2].replace("|", ", ")
    return _WORDS.get(str(shown.get("type")), str(shown.get("type", "text")))


def _default(shown: Mapping[str, Any]) -> str:
    default = shown.get("default")
    return "" if default in (None, False, {}, "") or isinstance(default, dict) else str(default)


def _about(shown: Mapping[str, Any]) -> str:
    return str(shown.get("description", ""))


@cache
def _schema(_added: tuple[FaultKind, ...]) -> dict[str, Any]:
    """Return the schema of a fault; it changes when plugins add kinds."""
    return Fault.model_json_schema()
