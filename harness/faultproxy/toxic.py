"""A toxic as the API knows it: a named, directed, possibly partial fault on one proxy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.faultproxy.attributes import Attributes
from harness.faultproxy.catalogue import CATALOGUE
from harness.faultproxy.direction import Direction
from harness.faultproxy.errors import bad_request_body, invalid_stream, invalid_toxic_type
from harness.faultproxy.fields import Fields


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic; updates make a new one with the same name, type and direction."""

    name: str
    type: str
    direction: Direction
    toxicity: float
    attributes: Attributes

    def updated(self, fields: Fields) -> "Toxic":
        """Return the toxic with new attributes and toxicity; other fields are ignored, bad ones raise ApiError."""
        toxicity = _parsed_toxicity(fields, default=self.toxicity)
        return replace(self, toxicity=toxicity, attributes=self.attributes.merged(fields.mapping("attributes")))

    def as_json(self) -> dict[str, object]:
        """Return what the API shows."""
        whole = int(self.toxicity) if self.toxicity == int(self.toxicity) else self.toxicity
        return {
            "attributes": self.attributes.as_json(),
            "name": self.name,
            "type": self.type,
            "stream": self.direction.value,
            "toxicity": whole,
        }


@dataclass(frozen=True, slots=True)
class ToxicRequest:
    """A toxic that was asked for; named and typed, its attributes not looked at yet.

    Toxiproxy complains about a taken name before it complains about attributes.
    """

    name: str
    type: str
    direction: Direction
    toxicity: float
    raw_attributes: Mapping[str, object]

    def build(self) -> Toxic:
        """Return the toxic, or raise ApiError (400) for attributes that are wrong or contradictory."""
        attributes = CATALOGUE[self.type]().merged(self.raw_attributes)
        return Toxic(self.name, self.type, self.direction, self.toxicity, attributes)


def parse_toxic_request(fields: Fields) -> ToxicRequest:
    """Read a toxic; absent are: stream downstream, toxicity 1, name <type>_<stream>. Raises ApiError (400)."""
    kind = fields.text("type")
    stream = fields.text("stream", default="downstream")
    try:
        direction = Direction(stream.lower())
    except ValueError:
        raise invalid_stream() from None
    if kind not in CATALOGUE:
        raise invalid_toxic_type()
    name = fields.text("name") or f"{kind}_{stream}"
    return ToxicRequest(name, kind, direction, _parsed_toxicity(fields, default=1.0), fields.mapping("attributes"))


def _parsed_toxicity(fields: Fields, *, default: float) -> float:
    toxicity = fields.number("toxicity", default=default)
    if not 0 <= toxicity <= 1:
        raise bad_request_body(f"toxicity must lie between 0 and 1, not {toxicity}")
    return toxicity
