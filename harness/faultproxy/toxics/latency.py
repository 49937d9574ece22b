"""latency: every chunk arrives later, in order; the end of the stream waits for the last chunk, not longer."""

from dataclasses import dataclass

from harness.faultproxy.attributes import LONGEST_MS, Attributes, whole_number
from harness.faultproxy.stage import Ending, HoldingStage, Surroundings


@dataclass(frozen=True, slots=True)
class Latency(Attributes):
    """Delay per chunk: latency plus a whole number of ms drawn from [-jitter, jitter - 1]."""

    latency_ms: int = whole_number("latency", most=LONGEST_MS)
    jitter_ms: int = whole_number("jitter", most=LONGEST_MS)

    def stage(self, around: Surroundings) -> "LatencyStage":
        """See `Attributes.stage`."""
        return LatencyStage(self, around)


class LatencyStage(HoldingStage[Latency]):
    """Holds each chunk from its arrival on, so a burst is late once, not once per chunk."""

    allowance_bytes = 16 * 1024 * 1024  # a long fat pipe: bandwidth times delay must fit in

    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        delay_ms = self._delay_ms() if isinstance(load, bytes) else 0
        self._hold(load, arrived_s + delay_ms / 1000, arrived_s)
        return delay_ms > 0

    def _passes_chunks(self) -> bool:
        return not (self.attributes.latency_ms or self.attributes.jitter_ms)

    def _delay_ms(self) -> int:
        jitter_ms = self.attributes.jitter_ms
        if not jitter_ms:
            return self.attributes.latency_ms
        return self.attributes.latency_ms + self._random().randrange(-jitter_ms, jitter_ms)
