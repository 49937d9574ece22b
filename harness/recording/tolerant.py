"""Reading a stored document into models that are strict about files of users: unknown keys are dropped, and named."""

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.model.base import STORED

ModelT = TypeVar("ModelT", bound=BaseModel)
_MOST_PASSES = 20


def read_stored(model: type[ModelT], document: dict[str, Any]) -> tuple[ModelT, tuple[str, ...]]:
    """Return the model, and the keys that this version does not know ("plan.scenario.owner").

    Validators hear that the document is a stored one (see `harness.model.base.STORED`).

    Raises:
        ValueError: something else than unknown keys is wrong; the message says what and where, in one line.
    """
    ignored: list[str] = []
    left = copy.deepcopy(document)
    for _ in range(_MOST_PASSES):
        try:
            return model.model_validate(left, context=STORED), tuple(ignored)
        except ValidationError as error:
            dropped = [name for detail in error.errors() if (name := _drop(left, detail))]
            if not dropped:
                raise ValueError(_told(error.errors())) from None
            ignored += dropped
    msg = "it cannot be understood"
    raise ValueError(msg)


def _drop(document: Any, detail: ErrorDetails) -> str:
    """Remove the unknown key that *detail* tells of; return its path, or "" where it tells of something else."""
    if detail["type"] != "extra_forbidden":
        return ""
    *parents, key = detail["loc"]
    holder = document
    for part in parents:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            continue  # a part of the path that names a member of a union, not a key
    if not isinstance(holder, dict) or key not in holder:
        return ""
    del holder[key]
    return ".".join(str(part) for part in detail["loc"])


def _told(details: Iterable[ErrorDetails]) -> str:
    first, *others = details
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{place}: {message}{more}" if place else f"{message}{more}"
