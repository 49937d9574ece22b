"""What every model of a YAML file has in common."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationInfo

STORED: Mapping[str, bool] = {"stored": True}
"""The validation context of what a recording holds: it was run already, whatever would be refused today."""


def is_stored(info: ValidationInfo) -> bool:
    """Say whether a recording is read: a rule about what users may ask for is then no reason to refuse it."""
    return bool(info.context and info.context.get("stored"))


class Spec(BaseModel):
    """Immutable, strict about keys, filled by name or by the YAML key."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )
