"""`design:` of a scenario: one fault window after a baseline, or many random pairs of windows with and without it."""

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from harness.model.base import Spec
from harness.model.files.units import Duration

FEWEST_PAIRS = 3
SINGLE = "single"


class Interleaved(Spec):
    """Pairs of windows in the fault phase: in each pair one window has the fault and one has not, in random order."""

    pairs: Annotated[int, Field(ge=FEWEST_PAIRS, le=100)] = 8
    window: Duration = 4.0
    settle: Duration = Field(default=1.0, description="Left out of the beginning of each window.")

    @model_validator(mode="after")
    def _leaves_something(self) -> "Interleaved":
        if self.settle >= self.window:
            msg = f"settle: {self.settle:g}s leaves nothing of a window of {self.window:g}s"
            raise ValueError(msg)
        return self

    @property
    def shortest_s(self) -> float:
        """Length of all windows together."""
        return 2 * self.pairs * self.window

    def pairs_in(self, seconds: float) -> int:
        """Return how many pairs a fault phase of so many seconds holds; a short one holds fewer than were asked for."""
        return min(self.pairs, int(seconds / (2 * self.window) + 1e-9))


class Design(Spec):
    """How the windows of a run lie: `single`, or `interleaved` with its parameters."""

    interleaved: Interleaved | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, raw: Any) -> Any:
        if isinstance(raw, str) and raw != SINGLE:
            msg = f"expected '{SINGLE}' or {{interleaved: {{pairs: 8, window: 4s, settle: 1s}}}}, got {raw!r}"
            raise ValueError(msg)
        return {} if raw == SINGLE else raw

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": SINGLE, "type": "string"}, handler(schema)]}
