"""What a machine does by itself: how far pairs of windows differ where nothing is broken, how often that alarms."""

from pydantic import Field

from harness.model.base import Spec

MEASURES = ("p50", "p95", "errors")
USUAL_SCATTER = {"p50": 0.12, "p95": 0.2, "errors": 0.02}
"""What is assumed of a machine that was not calibrated."""


class Figures(Spec):
    """How one measure of one tenant's flow scatters from pair to pair, and how much of that its reference explains."""

    scatter: float = Field(ge=0, description="Of one pair: log of the ratio, or difference of the error shares.")
    weight: float = Field(default=0.0, ge=0, le=1)
    pairs: int = Field(ge=0, description="So many pairs of windows it rests on.")


class Calibration(Spec):
    """The figures of one machine under the load of one target; a plan carries those that its run is judged with."""

    machine: str
    target: str
    window_s: float
    pairs: int = Field(description="Of a run, for the rate of false alarms.")
    figures: dict[str, Figures] = Field(description="tenant/flow/measure -> figures")
    runs: int = Field(default=0, description="So many runs without a fault, resampled, the rate rests on.")
    false_alarms: float | None = Field(default=None, ge=0, le=1, description="Share of them that ended as leaked.")

    def of(self, tenant: str, flow: str, measure: str) -> Figures | None:
        """Return the figures of one measure, if they were calibrated."""
        return self.figures.get(f"{tenant}/{flow}/{measure}")
