"""What every model of a YAML file has in common."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Immutable, strict about keys, filled by name or by the YAML key."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )
