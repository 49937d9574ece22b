"""A rollout as a state machine: 5, 25, 50, 100 % of the requests, or back to none. Pure: time is handed in."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from statistics import median
from typing import Any

STEPS = (5, 25, 50, 100)
_MOST_LATENCIES = 400


class Phase(Enum):
    """Where a rollout stands."""

    IDLE = "idle"
    RAMPING = "ramping"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was seen of one version."""

    requests: int = 0
    failures: int = 0
    compared: int = 0
    mismatched: int = 0
    latencies_ms: tuple[float, ...] = ()

    def plus(self, other: "Tally") -> "Tally":
        """Return both together; of latencies the newest."""
        return Tally(
            self.requests + other.requests,
            self.failures + other.failures,
            self.compared + other.compared,
            self.mismatched + other.mismatched,
            (*self.latencies_ms, *other.latencies_ms)[-_MOST_LATENCIES:],
        )

    @property
    def failure_rate(self) -> float:
        """Share of the requests that failed; 0 of none."""
        return self.failures / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How much worse than the old version, at the same time, the new one may be."""

    failures: int = 3
    failure_rate: float = 0.05
    mismatches: int = 2
    latency_samples: int = 6
    latency_ratio: float = 2.0
    latency_slack_ms: float = 60.0

    def broken_by(self, canary: Tally, stable: Tally) -> str:
        """Return which part of the budget is spent: errors, latency or content; "" for none."""
        if canary.mismatched >= self.mismatches:
            return "content"
        if canary.failures >= self.failures and canary.failure_rate > stable.failure_rate + self.failure_rate:
            return "errors"
        return "latency" if self._is_slow(canary.latencies_ms, stable.latencies_ms) else ""

    def _is_slow(self, canary_ms: Sequence[float], stable_ms: Sequence[float]) -> bool:
        if len(canary_ms) < self.latency_samples or len(stable_ms) < self.latency_samples:
            return False
        return median(canary_ms) > self.latency_ratio * median(stable_ms) + self.latency_slack_ms


@dataclass(frozen=True, slots=True)
class Pace:
    """How long, and for how many requests, each share is watched before the next."""

    step_s: float = 3.0
    samples: int = 8


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout; every method returns what becomes of it."""

    phase: Phase = Phase.IDLE
    step: int = 0
    since_s: float = 0.0
    reason: str = ""
    canary: Tally = Tally()
    stable: Tally = Tally()
    budget: Budget = field(default_factory=Budget)
    pace: Pace = field(default_factory=Pace)
    rolls_back: bool = True

    @property
    def percent(self) -> int:
        """The share of requests that the new version gets."""
        if self.phase is Phase.COMPLETED:
            return 100
        return STEPS[self.step] if self.phase is Phase.RAMPING else 0

    def start(self, now_s: float) -> "Rollout":
        """Begin anew at the smallest share; one that is under way goes on."""
        return self if self.phase is Phase.RAMPING else replace(self._fresh(0, now_s), phase=Phase.RAMPING, reason="")

    def stop(self) -> "Rollout":
        """Give everything back to the old version."""
        return replace(self._fresh(0, 0.0), phase=Phase.IDLE, reason="")

    def roll_back(self, reason: str) -> "Rollout":
        """Give everything back to the old version, for good."""
        return replace(self, phase=Phase.ROLLED_BACK, reason=reason)

    def observe(self, canary: Tally, stable: Tally) -> "Rollout":
        """Take in what was seen; the budget is judged over the present share."""
        if self.phase is not Phase.RAMPING:
            return self
        seen = replace(self, canary=self.canary.plus(canary), stable=self.stable.plus(stable))
        broken = seen.budget.broken_by(seen.canary, seen.stable) if self.rolls_back else ""
        return seen.roll_back(broken) if broken else seen

    def tick(self, now_s: float) -> "Rollout":
        """Go on to the next share when this one was watched enough."""
        is_due = now_s - self.since_s >= self.pace.step_s and self.canary.requests >= self.pace.samples
        if self.phase is not Phase.RAMPING or not is_due:
            return self
        if self.step + 1 < len(STEPS):
            return self._fresh(self.step + 1, now_s)
        return replace(self, phase=Phase.COMPLETED)

    def _fresh(self, step: int, now_s: float) -> "Rollout":
        return replace(self, step=step, since_s=now_s, canary=Tally(), stable=Tally())


def parse_tally(raw: Any) -> Tally:
    """Read what a gateway reports of a version; raise ValueError when it makes no sense."""
    try:
        counts = [raw[name] for name in ("requests", "failures", "compared", "mismatched")]
        latencies = tuple(float(each) for each in raw["latencies_ms"])
    except (TypeError, KeyError) as error:
        msg = f"not a tally: {error}"
        raise ValueError(msg) from None
    if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
        msg = "counts are whole numbers"
        raise ValueError(msg)
    requests, failures, compared, mismatched = counts
    return Tally(requests, failures, compared, mismatched, latencies)
