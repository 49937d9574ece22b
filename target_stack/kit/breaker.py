"""Circuit breaker: after enough failed or slow calls it refuses calls at once, then lets single probes find out.

    CLOSED --rate over its bound--> OPEN --open time over--> HALF_OPEN --probe good--> CLOSED
                                      ^------------probe bad, open time doubles------|

Four traps shape this file. Only one probe may be under way in half-open, however many callers come at once. A probe
that never reports must not hold the gate for ever, so it is a lease. A call that was cancelled says nothing about the
callee, unless it had been slow by then: otherwise callers who leave early would keep a hanging callee in use. And a
result counts only in the generation in which its call began: what started before the last change of state may neither
close nor open anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from target_stack.kit.clock import Clock
from target_stack.kit.rate_window import RateWindow


class BreakerState(Enum):
    """In the order of gravity; the position is the value of the metric."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open and for how long; rates are shares of the calls in the window."""

    window_s: float = 10.0
    buckets: int = 10
    min_calls: int = 5
    failure_rate: float = 0.5
    slow_call_s: float = 1.0
    slow_rate: float = 0.8
    open_s: float = 2.0
    max_open_s: float = 8.0
    probe_lease_s: float = 5.0


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The breaker *name* went from one state to another."""

    name: str
    before: BreakerState
    after: BreakerState


@dataclass(frozen=True, slots=True)
class BreakerRefusal:
    """The breaker *name* refused a call."""

    name: str


BreakerEvent = BreakerChanged | BreakerRefusal


class BreakerOpenError(Exception):
    """The call was refused; asking again makes sense after `retry_after_s`."""

    def __init__(self, name: str, retry_after_s: float) -> None:
        super().__init__(f"the breaker {name} is open")
        self.name = name
        self.retry_after_s = retry_after_s


class Permit:
    """Leave to make one call; report how it ended exactly once, later reports are ignored."""

    __slots__ = ("_breaker", "_settled", "generation", "started_s")

    def __init__(self, breaker: "Breaker", generation: int, started_s: float) -> None:
        self._breaker = breaker
        self._settled = False
        self.generation = generation
        self.started_s = started_s

    def succeeded(self) -> None:
        """The callee answered as it should, quickly or slowly."""
        self._settle(failed=False)

    def failed(self) -> None:
        """The callee failed or did not answer in time."""
        self._settle(failed=True)

    def abandoned(self) -> None:
        """The caller stopped waiting: after less than a slow call takes that says nothing about the callee."""
        if not self._settled:
            self._settled = True
            self._breaker.forget(self)

    def _settle(self, *, failed: bool) -> None:
        if not self._settled:
            self._settled = True
            self._breaker.judge(self, failed=failed)


class Breaker:
    """One breaker for one link; single-threaded, as everything on an event loop is."""

    def __init__(
        self, name: str, settings: BreakerSettings, clock: Clock, listener: Callable[[BreakerEvent], None]
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._window = RateWindow(settings.window_s, settings.buckets)
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._open_s = settings.open_s
        self._open_until_s = 0.0
        self._probe: Permit | None = None

    @property
    def state(self) -> BreakerState:
        """The state after the last call or result; an open breaker becomes half-open only when somebody calls."""
        return self._state

    def acquire(self) -> Permit:
        """Return leave to call; raise BreakerOpenError when the callee is to be left alone."""
        now_s = self._clock.monotonic_s()
        if self._state is BreakerState.OPEN and now_s >= self._open_until_s:
            self._change_to(BreakerState.HALF_OPEN)
        if self._state is BreakerState.CLOSED:
            return Permit(self, self._generation, now_s)
        if self._state is BreakerState.HALF_OPEN and self._gate_is_free(now_s):
            return self._let_probe_through(now_s)
        self._listener(BreakerRefusal(self.name))
        raise BreakerOpenError(self.name, self._retry_after_s(now_s))

    def judge(self, permit: Permit, *, failed: bool) -> None:
        """Take the result of a call into account, unless it is stale; permits call this."""
        if self._is_stale(permit):
            return
        now_s = self._clock.monotonic_s()
        slow = self._is_slow(permit, now_s)
        if self._state is BreakerState.HALF_OPEN:
            self._conclude_probe(now_s, good=not (failed or slow))
            return
        self._window.record(now_s, failed=failed, slow=slow)
        if self._rates_are_too_high(now_s):
            self._open(now_s)

    def forget(self, permit: Permit) -> None:
        """Take note that a call was given up: it counts as slow if it was slow by then; else a probe frees the gate."""
        if self._is_slow(permit, self._clock.monotonic_s()):
            self.judge(permit, failed=False)
        if permit is self._probe:
            self._probe = None

    def _is_slow(self, permit: Permit, now_s: float) -> bool:
        return now_s - permit.started_s >= self._settings.slow_call_s

    def _is_stale(self, permit: Permit) -> bool:
        return permit.generation != self._generation

    def _gate_is_free(self, now_s: float) -> bool:
        return self._probe is None or now_s >= self._probe.started_s + self._settings.probe_lease_s

    def _let_probe_through(self, now_s: float) -> Permit:
        self._generation += 1  # a probe whose lease ran out has become stale
        self._probe = Permit(self, self._generation, now_s)
        return self._probe

    def _conclude_probe(self, now_s: float, *, good: bool) -> None:
        if good:
            self._open_s = self._settings.open_s
            self._window.clear()
            self._change_to(BreakerState.CLOSED)
        else:
            self._open_s = min(self._open_s * 2, self._settings.max_open_s)
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        self._open_until_s = now_s + self._open_s
        self._change_to(BreakerState.OPEN)

    def _rates_are_too_high(self, now_s: float) -> bool:
        tally = self._window.total(now_s)
        if tally.calls < self._settings.min_calls:
            return False
        return (
            tally.failed >= self._settings.failure_rate * tally.calls
            or tally.slow >= self._settings.slow_rate * tally.calls
        )

    def _retry_after_s(self, now_s: float) -> float:
        if self._state is BreakerState.OPEN:
            return self._open_until_s - now_s
        return self._settings.open_s

    def _change_to(self, after: BreakerState) -> None:
        before, self._state = self._state, after
        self._generation += 1
        self._probe = None
        self._listener(BreakerChanged(self.name, before, after))
