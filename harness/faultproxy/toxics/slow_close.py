"""slow_close: data passes at once, the end of the stream comes late."""

from dataclasses import dataclass

from harness.faultproxy.attributes import LONGEST_MS, Attributes, whole_number
from harness.faultproxy.stage import Ending, HoldingStage, Surroundings


@dataclass(frozen=True, slots=True)
class SlowClose(Attributes):
    """How late."""

    delay_ms: int = whole_number("delay", most=LONGEST_MS)

    def stage(self, around: Surroundings) -> "SlowCloseStage":
        """See `Attributes.stage`."""
        return SlowCloseStage(self, around)


class SlowCloseStage(HoldingStage[SlowClose]):
    """Holds nothing but the ending; an update counts from the ending's arrival."""

    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        delay_ms = self.attributes.delay_ms if isinstance(load, Ending) else 0
        self._hold(load, arrived_s + delay_ms / 1000, arrived_s)
        return delay_ms > 0

    def _passes_chunks(self) -> bool:
        return True
