"""reset_peer: some time after the first chunk or the end of the stream, both sides get a TCP RST."""

import math
from dataclasses import dataclass

from harness.faultproxy.attributes import LONGEST_MS, Attributes, whole_number
from harness.faultproxy.stage import Ending, HoldingStage, Surroundings


@dataclass(frozen=True, slots=True)
class ResetPeer(Attributes):
    """How long after the first sign of life."""

    timeout_ms: int = whole_number("timeout", most=LONGEST_MS)

    def stage(self, around: Surroundings) -> "ResetPeerStage":
        """See `Attributes.stage`."""
        return ResetPeerStage(self, around)


class ResetPeerStage(HoldingStage[ResetPeer]):
    """Holds all data for ever; the reset overtakes it. Removal in time lets the connection go on, nothing lost."""

    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        if not self._held:
            self._fuse(arrived_s)
        self._hold(load, math.inf, arrived_s)
        return True

    def _fuse(self, lit_at_s: float) -> None:
        self._stop_timer()
        self._reset_at_s = lit_at_s + self.attributes.timeout_ms / 1000
        self._timer = self._clock.call_at(self._reset_at_s, self._wake)

    def _sleep(self) -> None:
        """The fuse burns on its own."""

    def _wake(self) -> None:
        self._timer = None
        if self._clock.now_s() < self._reset_at_s:
            self._timer = self._clock.call_at(self._reset_at_s, self._wake)
            return
        self.discard()
        self._close(Ending.RESET)
