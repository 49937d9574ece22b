"""timeout: data vanishes; after a time without new data the connection closes; 0 never closes."""

from dataclasses import dataclass

from harness.faultproxy.attributes import LONGEST_MS, Attributes, whole_number
from harness.faultproxy.clock import Timer
from harness.faultproxy.stage import Ending, Stage, Surroundings


@dataclass(frozen=True, slots=True)
class Timeout(Attributes):
    """How long a silent connection stays open."""

    timeout_ms: int = whole_number("timeout", most=LONGEST_MS)

    def stage(self, around: Surroundings) -> "TimeoutStage":
        """See `Attributes.stage`."""
        return TimeoutStage(self, around)


class TimeoutStage(Stage[Timeout]):
    """An idle timer, restarted by each chunk it drops. Removal closes: a stream that lacks bytes is beyond repair."""

    def __init__(self, attributes: Timeout, around: Surroundings) -> None:
        super().__init__(attributes, around)
        self._timer: Timer | None = None
        self._restart()

    def reconfigure(self, attributes: Timeout) -> None:
        """Count from now, with the new time."""
        self.attributes = attributes
        if not self.ended:
            self._restart()

    def release(self) -> None:
        """Close the connection."""
        self.discard()
        if not self.ended:
            self._close(Ending.CUT)

    def discard(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, data: bytes) -> None:
        self._touch(data)
        self._idle_since_s = self._clock.now_s()

    def _take_ending(self, ending: Ending) -> None:
        self.discard()
        self.next.end(ending)

    def _restart(self) -> None:
        self._idle_since_s = self._clock.now_s()
        self._sleep()

    def _sleep(self) -> None:
        self.discard()
        if self.attributes.timeout_ms:
            self._timer = self._clock.call_at(self._closes_at_s(), self._wake)

    def _closes_at_s(self) -> float:
        return self._idle_since_s + self.attributes.timeout_ms / 1000

    def _wake(self) -> None:
        """Chunks only note their time; the timer catches up here, which is cheaper than restarting it."""
        self._timer = None
        if self._clock.now_s() < self._closes_at_s():
            return self._sleep()
        self._touch()
        return self._close(Ending.CUT)
