"""The windows of one run, and how long each is."""

from enum import Enum

from pydantic import model_validator

from harness.model.base import Spec
from harness.model.files.units import Duration


class Phase(Enum):
    """The windows of one run, in their order."""

    WARMUP = "warmup"
    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


class Phases(Spec):
    """How long each window is."""

    warmup: Duration = 4.0
    baseline: Duration = 16.0
    fault: Duration = 20.0
    recovery: Duration = 16.0

    @model_validator(mode="after")
    def _can_be_judged(self) -> "Phases":
        for phase in (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY):
            if self.seconds(phase) < 1:
                msg = f"{phase.value} must last at least 1s: there would be nothing to judge"
                raise ValueError(msg)
        return self

    def seconds(self, phase: Phase) -> float:
        """Return the length of *phase*."""
        return float(getattr(self, phase.value))

    @property
    def total_s(self) -> float:
        """Length of the whole run under load."""
        return sum(self.seconds(phase) for phase in Phase)


QUICK = Phases.model_validate({"warmup": "2s", "baseline": "6s", "fault": "8s", "recovery": "6s"})
"""What --quick takes unless the scenario says otherwise; never longer than the scenario's own phases."""
