"""Pauses between attempts, measured from the end of one to the start of the next in the traces."""

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from harness.evidence.calls import Calls, Words
from harness.model.files.scenario import Backoff
from harness.model.result.finding import Cause, Finding, Measured, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.shares import FEWEST

_LATE_S = 0.02  # a busy caller wakes up that much later than it meant to
_MOST_LATE = 0.05
_MOST_LATE_OF_A_TENANT = 0.2
_ENOUGH_OF_A_TENANT = 20
_MEAN, _DEVIATION = 0.5, sqrt(1 / 12)  # of a draw from 0 to 1
_LEAST_SPREAD = 0.15

Floats = NDArray[np.float64]


def judge_gaps(link: str, spec: Backoff, attempts: Calls, tenants: Words, window: Window) -> Finding:
    """Judge whether pauses follow "full jitter": drawn evenly from 0 to min(longest, first x 2^n).

    See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. They must stay below the ceiling, lie around its
    middle (within three standard errors and the lateness of a busy caller), and be spread: callers that failed together
    must not come back together.
    """
    pauses = _gaps(attempts, spec)
    finding = Finding(
        check="",
        subject=f"{link} pauses",
        status=Status.UNKNOWN,
        value="–",
        bound=f"full jitter below {spec.first * 1000:g} ms, doubling up to {spec.longest * 1000:g} ms",
        samples=len(pauses),
        window=window,
        cause=Cause.TOO_FEW_SAMPLES,
        reason=f"{len(pauses)} retries cannot decide it.",
        link=link,
        measure="pauses",
    )
    if not len(pauses):
        reason = "Nothing was tried again: there was no pause to look at."
        return replace(finding, status=Status.NOT_EXERCISED, cause=None, reason=reason)
    if len(pauses) < 2 * FEWEST:
        return finding
    status = Status.PASS if _is_full_jitter(pauses, _MOST_LATE) else Status.FAIL
    finding = replace(finding, value=str(pauses), measured=Measured.of(pauses.mean, ""), cause=None, reason="")
    alike = [] if status is Status.FAIL else [t for t in _tenants(tenants) if _differs(pauses.only(tenants == t))]
    if alike:
        return replace(finding, status=Status.FAIL, reason=f"The pauses of {alike[0]} do not follow it.")
    return replace(finding, status=status)


@dataclass(frozen=True, slots=True)
class _Pauses:
    """Pauses before retries, what each should stay below, and the attempt that followed."""

    gaps_s: Floats
    ceilings_s: Floats
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.gaps_s)

    def only(self, attempts: NDArray[np.bool_]) -> "_Pauses":
        """Return those before the chosen attempts."""
        chosen = attempts[self.rows]
        return _Pauses(self.gaps_s[chosen], self.ceilings_s[chosen], self.rows[chosen])

    @property
    def shares(self) -> Floats:
        """Each pause as a share of its ceiling."""
        return self.gaps_s / self.ceilings_s

    @property
    def mean(self) -> float:
        """The mean share."""
        return float(self.shares.mean())

    @property
    def late(self) -> float:
        """The share of pauses beyond their ceiling, the lateness of a busy caller allowed for."""
        return float((self.gaps_s > self.ceilings_s + _LATE_S).mean())

    def __str__(self) -> str:
        return f"{self.mean:.2f} of the ceiling in the mean, spread {self.shares.std():.2f}, {self.late:.0%} beyond it"


def _tenants(tenants: Words) -> list[str]:
    return sorted(set(tenants.tolist()) - {""})


def _differs(pauses: _Pauses) -> bool:
    """One tenant's pauses are few: only a clear difference counts."""
    return len(pauses) >= _ENOUGH_OF_A_TENANT and not _is_full_jitter(pauses, _MOST_LATE_OF_A_TENANT)


def _is_full_jitter(pauses: _Pauses, most_late: float) -> bool:
    shares = pauses.shares
    error = 3 * _DEVIATION / sqrt(len(shares))
    lateness = float((_LATE_S / pauses.ceilings_s).mean())
    lies_in_the_middle = _MEAN - error <= shares.mean() <= _MEAN + error + lateness
    return bool(pauses.late <= most_late and lies_in_the_middle and shares.std() >= _LEAST_SPREAD)


def _gaps(attempts: Calls, spec: Backoff) -> _Pauses:
    """Return each pause before a retry, and what it should stay below.

    One span may make several calls: a retry follows the attempt before it that ended last.
    """
    ends: dict[tuple[int, int, int, int], list[int]] = {}
    gaps_s, ceilings_s, rows = [], [], []
    for row in range(len(attempts)):  # by their start
        number, start_ns = int(attempts.attempt[row]), int(attempts.start_ns[row])
        first, last = attempts.trace[row]
        span = int(first), int(last), int(attempts.parent[row])
        before = [end_ns for end_ns in ends.get((*span, number - 1), ()) if end_ns <= start_ns]
        if before:
            gaps_s.append((start_ns - max(before)) / NS_PER_S)
            ceilings_s.append(min(spec.longest, spec.first * 2.0 ** (number - 1)))
            rows.append(row)
        ends.setdefault((*span, number), []).append(int(attempts.end_ns[row]))
    return _Pauses(np.array(gaps_s), np.array(ceilings_s), np.array(rows, dtype=np.int64))
