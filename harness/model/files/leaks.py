"""Leak levels: the harm that a run must not miss. A pass means that this much would have been found."""

from pydantic import Field

from harness.model.base import Spec
from harness.model.files.units import Bound, Share


class Leak(Spec):
    """Some of the levels; what is left out comes from the next wider place."""

    errors: Share | None = Field(default=None, description="Share of answers that fail; 5% where nothing is stated.")
    slow: Share | None = Field(
        default=None, description="Share of answers slower than their bound; 10% where nothing is stated."
    )
    slowdown: Bound | None = Field(
        default=None, description="Median against the own baseline; 2x where nothing is stated."
    )


class LeakLevels(Leak):
    """The levels of all flows, and of single ones."""

    flows: dict[str, Leak] = Field(default={}, description="flow -> its own levels")
