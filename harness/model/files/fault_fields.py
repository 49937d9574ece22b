"""From the rows of the fault kinds to the fields of a fault: one optional field a kind, validated by pydantic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AliasChoices, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from harness.model.base import Spec
from harness.model.files.fault_kinds.row import FaultKind, resolve


@dataclass(frozen=True, slots=True)
class _Shorthand:
    """Let `latency: 10s` stand for `latency: {latency: 10s}`, in the validator and in its JSON Schema."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        long = handler(schema)
        return {"anyOf": [*long.pop("anyOf", [long]), {"type": ["string", "integer"]}]}

    def _expand(self, raw: Any) -> Any:
        return raw if raw is None or isinstance(raw, Mapping | Spec) else {self.field: raw}


def fields_of(kinds: Iterable[FaultKind]) -> dict[str, Any]:
    """Return the fields that let a fault be one of *kinds*, as `pydantic.create_model` takes them.

    Raises:
        HarnessError: the parameters of a kind cannot be imported.
    """
    return {kind.name: _field_of(kind) for kind in kinds}


def _field_of(kind: FaultKind) -> tuple[Any, Any]:
    about: dict[str, Any] = {"description": f"{kind.does[0].upper()}{kind.does[1:]}."}
    if kind.formerly:
        about["validation_alias"] = AliasChoices(kind.name, *kind.formerly)
    if not kind.spec:
        return bool, Field(default=False, **about)
    spec = resolve(kind.spec)
    given = Annotated[spec | None, _Shorthand(kind.shorthand)] if kind.shorthand else spec | None
    return given, Field(default=None, **about)
