"""What can be given to an entry of a file, read from the JSON Schema of the model that validates it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_REF = "#/$defs/"
_WORDS = {"boolean": "true", "integer": "whole number", "number": "number", "object": "mapping", "string": "text"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be said of an entry; an empty default means that it must be given, or is absent."""

    name: str
    type: str
    default: str
    about: str
    required: bool = False


def parameters_in(schema: Mapping[str, Any], name: str) -> Iterator[Parameter]:
    """Yield the property *name*: itself, or the parts of the mapping that it is; dots lead into it."""
    yield from _own(schema, name, schema["properties"][name], required=name in schema.get("required", ()))


def _own(schema: Mapping[str, Any], name: str, shown: Mapping[str, Any], *, required: bool) -> Iterator[Parameter]:
    parts = _definition(shown, schema)
    if parts is None or "properties" not in parts:
        yield _parameter(name, {**shown, **_enum(parts)}, required=required)
        return
    for part, inner in parts["properties"].items():
        yield from _own(schema, f"{name}.{part}", inner, required=part in parts.get("required", ()))


def _enum(definition: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the type of an enumeration in place of the reference to it."""
    return {"enum": definition["enum"], "anyOf": [{"enum": definition["enum"]}]} if definition else {}


def _definition(shown: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for choice in (shown, *shown.get("anyOf", ())):
        if str(choice.get("$ref", "")).startswith(_REF):
            definition: Mapping[str, Any] = schema["$defs"][choice["$ref"].removeprefix(_REF)]
            return definition
    return None


def _parameter(name: str, shown: Mapping[str, Any], *, required: bool) -> Parameter:
    choices = [choice for choice in shown.get("anyOf", [shown]) if choice.get("type") != "null"]
    types = " or ".join(_type(choice) for choice in choices)
    return Parameter(name, types, _default(shown), str(shown.get("description", "")), required)


def _type(shown: Mapping[str, Any]) -> str:
    if values := shown.get("enum"):
        return ", ".join(map(str, values))
    if examples := shown.get("examples"):
        return f"such as {' or '.join(map(str, examples))}"
    pattern = str(shown.get("pattern", ""))
    if "|" in pattern and pattern[:2] == "^(" and pattern[-2:] == ")$":
        return pattern[2:-2].replace("|", ", ")
    if shown.get("type") == "array" and "items" in shown:
        return f"list of {_type(shown['items'])}"
    return _WORDS.get(str(shown.get("type")), str(shown.get("type", "text")))


def _default(shown: Mapping[str, Any]) -> str:
    default = shown.get("default")
    return "" if default in (None, False, {}, [], "") or isinstance(default, dict) else str(default)
