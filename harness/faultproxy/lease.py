"""The proxy's own dead man's switch: faults live only as long as somebody renews the lease."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.faultproxy.clock import Clock, Timer


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """What `GET /harness/lease` shows; `remaining_s` is None when nobody holds the lease."""

    lease_s: float | None
    remaining_s: float | None
    lapsed: int
    last_lapse_unix_ns: int | None


class Lease:
    """One global lease. From the first `renew` on, unless ended, faults are healed whenever it is not held.

    A lapse calls *heal*. While it stays lapsed, every further *lease_s* checks again, so that a fault added by
    somebody who woke up too late does not live for ever.
    """

    def __init__(self, clock: Clock, *, heal: Callable[[], None]) -> None:
        self._clock = clock
        self._heal = heal
        self._lease_s: float | None = None
        self._due_s: float | None = None
        self._timer: Timer | None = None
        self._lapsed = 0
        self._last_lapse_unix_ns: int | None = None

    def renew(self, lease_s: float) -> None:
        """Hold the lease for *lease_s* from now."""
        self._stop_timer()
        self._lease_s, self._due_s = lease_s, self._clock.now_s() + lease_s
        self._timer = self._clock.call_at(self._due_s, self._wake)

    def end(self) -> None:
        """Give the lease back; nothing is healed, now or later."""
        self._stop_timer()
        self._lease_s = self._due_s = None

    def report(self) -> LeaseReport:
        """Return the state now."""
        remaining_s = None if self._due_s is None else max(0.0, self._due_s - self._clock.now_s())
        return LeaseReport(self._lease_s, remaining_s, self._lapsed, self._last_lapse_unix_ns)

    def _wake(self) -> None:
        self._timer = None
        if self._due_s is not None and self._clock.now_s() < self._due_s:
            self._timer = self._clock.call_at(self._due_s, self._wake)
            return
        if self._due_s is not None:
            self._due_s = None
            self._lapsed += 1
            self._last_lapse_unix_ns = self._clock.unix_ns()
        self._heal()
        self._timer = self._clock.call_at(self._clock.now_s() + (self._lease_s or 0.0), self._wake)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
