"""Attributes of toxics: whole numbers with a range, parsed once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from harness.faultproxy.errors import bad_request_body
from harness.faultproxy.stage import Stage, Surroundings

LONGEST_MS = 10**12  # about 31 years; every loop's timers still take it
MOST_BYTES = 2**62


def whole_number(wire_name: str, *, most: int) -> Any:
    """A dataclass field for a JSON integer from 0 to *most*, called *wire_name* in the API; 0 when absent."""
    return field(default=0, metadata={"wire": wire_name, "most": most})


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a toxic can be told; each toxic derives its own and makes its stages from them."""

    def stage(self, around: Surroundings) -> Stage[Any]:
        """Make the stage that does this to one direction of one connection."""
        raise NotImplementedError

    def merged(self, raw: Mapping[str, object]) -> Self:
        """Return these attributes with the values of *raw* in their place.

        Unknown names and nulls are ignored, letter case too, as Toxiproxy does. A value of the wrong type or out of
        range raises ApiError (400).
        """
        by_wire_name = {name.lower(): value for name, value in raw.items() if value is not None}
        values = {
            spec.name: _checked(spec.metadata, by_wire_name.get(spec.metadata["wire"], getattr(self, spec.name)))
            for spec in fields(self)
        }
        merged = type(self)(**values)
        merged.validate()
        return merged

    def validate(self) -> None:
        """Raise ApiError (400) when attributes contradict each other."""

    def as_json(self) -> dict[str, int]:
        """Return the attributes under the names they have in the API."""
        return {spec.metadata["wire"]: getattr(self, spec.name) for spec in fields(self)}


def _checked(metadata: Mapping[str, Any], value: object) -> int:
    name, most = metadata["wire"], metadata["most"]
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_request_body(f"attribute {name} must be a whole number, not {value!r}")
    if not 0 <= value <= most:
        raise bad_request_body(f"attribute {name} must lie between 0 and {most}, not {value}")
    return value
