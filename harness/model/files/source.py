"""YAML files with positions: every error names file, line and column, and suggests what was meant."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.model.errors import UsageError

Location = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed YAML file: its plain data, and where in the file each part stands."""

    path: Path
    data: Any
    marks: Mapping[Location, tuple[int, int]]  # of values; keys under (..., key, "<key>")

    def where(self, location: Location, *, key: bool = False) -> str:
        """Return file:line:column of *location*, or of its nearest parent that the file holds."""
        if key and (mark := self.marks.get((*location, "<key>"))):
            return f"{self.path}:{mark[0]}:{mark[1]}"
        known = next(location[:n] for n in range(len(location), -1, -1) if location[:n] in self.marks)
        line, column = self.marks[known]
        return f"{self.path}:{line}:{column}"

    def error(self, location: Location, message: str, *, key: bool = False) -> UsageError:
        """Make the error that points at *location*."""
        return UsageError(f"{self.where(location, key=key)}: {message}")


def read_yaml(path: Path) -> Source:
    """Read *path*; a missing or malformed file, or a key given twice, is a UsageError with its position."""
    try:
        return _parse(path, path.read_text(encoding="utf-8"))
    except RecursionError:
        msg = f"{path}: nested too deeply, or an alias that holds itself"
        raise UsageError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        problem = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        msg = f"{path}: {problem}"
        raise UsageError(msg) from None


def _parse(path: Path, text: str) -> Source:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        msg = f"{place}: not valid YAML: {error.problem}"
        raise UsageError(msg) from None
    except yaml.YAMLError as error:
        msg = f"{path}: not valid YAML: {error}"
        raise UsageError(msg) from None
    if root is None:
        msg = f"{path}:1:1: the file is empty"
        raise UsageError(msg)
    marks: dict[Location, tuple[int, int]] = {}
    data = _plain(root, (), marks, path)
    return Source(path, data, marks)


def _plain(node: yaml.Node, location: Location, marks: dict[Location, tuple[int, int]], path: Path) -> Any:
    marks[location] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, location, marks, path)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*location, index), marks, path) for index, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", error)
        msg = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: not a valid value: {problem}"
        raise UsageError(msg) from None


def _plain_mapping(
    node: yaml.MappingNode, location: Location, marks: dict[Location, tuple[int, int]], path: Path
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        if key in result:
            msg = f"{path}:{line}:{column}: the key {key!r} is given twice"
            raise UsageError(msg)
        marks[(*location, key, "<key>")] = (line, column)
        result[key] = _plain(value_node, (*location, key), marks, path)
    return result


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" or, where nothing is near, "; known: a, b"."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""


def validate(source: Source, model: type[ModelT]) -> ModelT:
    """Check *source* against *model*.

    Raises:
        UsageError: every fault of the file, one a line, each with its position.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        lines = dict.fromkeys(_describe(source, model, detail) for detail in error.errors())
        raise UsageError("\n".join(lines)) from None


def _describe(source: Source, model: type[BaseModel], detail: ErrorDetails) -> str:
    location = tuple(part for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        return (
            f"{source.where(location, key=True)}: unknown key {location[-1]!r}{did_you_mean(str(location[-1]), known)}"
        )
    if detail["type"] == "missing":
        return f"{source.where(location[:-1])}: the key {location[-1]!r} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    name = ".".join(str(part) for part in location)
    return f"{source.where(location)}: {name}: {message}" if name else f"{source.where(location)}: {message}"


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """Walk the model along *location*; names of the YAML keys that may stand there."""
    current: Any = model
    for part in location:
        current = _step_into(_without_none(current), part)
    current = _without_none(current)
    if keys := getattr(current, "known_keys", None):
        return list(keys())
    return [field.alias or name for name, field in current.model_fields.items()] if _is_model(current) else []


def _step_into(annotation: Any, part: str | int) -> Any:
    if inner := getattr(annotation, "annotation_of", None):
        return inner(part)
    if _is_model(annotation):
        return next((f.annotation for n, f in annotation.model_fields.items() if part in (n, f.alias)), None)
    arguments = getattr(annotation, "__args__", ())
    return arguments[-1 if getattr(annotation, "__origin__", None) is dict else 0] if arguments else None


def _without_none(annotation: Any) -> Any:
    """Peel Optional and Annotated off."""
    if hasattr(annotation, "__metadata__"):
        return _without_none(annotation.__origin__)
    if isinstance(annotation, UnionType) or getattr(annotation, "__origin__", None) is Union:
        return _without_none(next(a for a in annotation.__args__ if a is not type(None)))
    return annotation


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
