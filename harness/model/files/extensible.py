"""Entries of a file that are exactly one of several kinds, each a field; plugins add kinds while the process runs."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from harness.model.base import Spec

PLUGINS = "harness.plugins"
"""The module of a model that has the plugins' kinds too."""


class Extensible(Spec):
    """One entry; where plugins added kinds, it is validated by a subclass that has a field for each of these too."""

    @classmethod
    def added_names(cls) -> list[str]:
        """Return the kinds that plugins added so far."""
        raise NotImplementedError

    @classmethod
    def extended(cls) -> type[Self]:
        """Return the model with the plugins' kinds; the model itself where there are none."""
        raise NotImplementedError

    @classmethod
    def todays_name(cls, key: str) -> str:
        """Return what *key* is called today."""
        return key

    @property
    def given(self) -> list[str]:
        """The kinds that are asked for; a valid entry has exactly one."""
        raise NotImplementedError

    @classmethod
    def known_keys(cls) -> list[str]:
        """Return the keys that an entry can have, those of plugins included."""
        return list(cls.extended().model_fields)

    @classmethod
    def annotation_of(cls, key: str | int) -> Any:
        """Return the type of what stands under *key*, also under an old name or that of a plugin's kind."""
        found = cls.extended().model_fields.get(cls.todays_name(str(key)))
        return found.annotation if found else None

    @model_validator(mode="wrap")
    @classmethod
    def _with_added_kinds(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not _is_extended(cls) and isinstance(raw, Mapping) and cls.added_names():
            return cls.extended().model_validate(raw)
        return handler(raw)

    @model_serializer(mode="wrap")
    def _with_added_values(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name in self.added_names():
            if _is_extended(type(self)) and name in self.given and name not in data and not info.include:
                data |= self.model_dump(mode=info.mode, include={name}, exclude_defaults=info.exclude_defaults)
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if not _is_extended(cls) and cls.added_names():
            return handler(cls.extended().__pydantic_core_schema__)
        return cls.with_old_names(handler, handler(schema))

    @classmethod
    def with_old_names(cls, _handler: GetJsonSchemaHandler, schema: JsonSchemaValue) -> JsonSchemaValue:
        """Return *schema* with the keys that files had before."""
        return schema


def _is_extended(model: type) -> bool:
    return model.__module__ == PLUGINS
