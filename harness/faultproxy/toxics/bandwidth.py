"""bandwidth: each direction of each connection carries so many kB (1000 bytes) per second; 0 carries nothing."""

import math
from dataclasses import dataclass

from harness.faultproxy.attributes import MOST_BYTES, Attributes, whole_number
from harness.faultproxy.stage import Ending, HoldingStage, Surroundings

PIECE_MS = 100  # long chunks leave in pieces, so that a slow line trickles instead of bursting


@dataclass(frozen=True, slots=True)
class Bandwidth(Attributes):
    """The rate in kB per second, which is also bytes per ms."""

    rate_kb_per_s: int = whole_number("rate", most=MOST_BYTES)

    def stage(self, around: Surroundings) -> "BandwidthStage":
        """See `Attributes.stage`."""
        return BandwidthStage(self, around)


class BandwidthStage(HoldingStage[Bandwidth]):
    """A chunk leaves when the line has had the time to carry it."""

    _line_free_s = -math.inf

    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        if isinstance(load, Ending):
            self._hold(load, arrived_s, arrived_s)
            return False
        if self.attributes.rate_kb_per_s:
            self._carry(load, arrived_s, bytes_per_ms=self.attributes.rate_kb_per_s)
        else:
            self._hold(load, math.inf, arrived_s)
        return True

    def _carry(self, load: bytes, arrived_s: float, *, bytes_per_ms: int) -> None:
        self._line_free_s = max(self._line_free_s, arrived_s)
        piece_bytes = bytes_per_ms * PIECE_MS
        for start in range(0, len(load), piece_bytes):
            piece = load[start : start + piece_bytes]
            self._line_free_s += len(piece) / bytes_per_ms / 1000
            self._hold(piece, self._line_free_s, arrived_s)

    def _forget_plan(self) -> None:
        self._line_free_s = self._clock.now_s()
