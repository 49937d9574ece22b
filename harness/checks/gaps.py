"""Pauses between attempts, measured from the end of one to the start of the next in the traces."""

from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from harness.evidence.calls import Calls
from harness.model.files.scenario import Backoff
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.shares import FEWEST

_LATE_S = 0.02  # a busy caller wakes up that much later than it meant to
_MOST_LATE = 0.05
_MEAN, _DEVIATION = 0.5, sqrt(1 / 12)  # of a draw from 0 to 1
_LEAST_SPREAD = 0.15


def judge_gaps(link: str, spec: Backoff, attempts: Calls, window: Window) -> Finding:
    """Judge whether pauses follow "full jitter": drawn evenly from 0 to min(longest, first x 2^n).

    See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. They must stay below the ceiling, lie around its
    middle (within three standard errors and the lateness of a busy caller), and be spread: callers that failed together
    must not come back together.
    """
    gaps_s, ceilings_s = _gaps(attempts, spec)
    finding = Finding(
        check="",
        subject=f"{link} pauses",
        status=Status.UNKNOWN,
        value="–",
        bound=f"full jitter below {spec.first * 1000:g} ms, doubling up to {spec.longest * 1000:g} ms",
        samples=len(gaps_s),
        window=window,
        cause=Cause.TOO_FEW_SAMPLES,
        reason=f"{len(gaps_s)} retries cannot decide it.",
    )
    if len(gaps_s) < 2 * FEWEST:
        return finding
    shares = gaps_s / ceilings_s
    late = float((gaps_s > ceilings_s + _LATE_S).mean())
    told = f"{shares.mean():.2f} of the ceiling in the mean, spread {shares.std():.2f}, {late:.0%} beyond it"
    status = Status.PASS if _is_full_jitter(shares, ceilings_s, late) else Status.FAIL
    return replace(finding, status=status, value=told, cause=None, reason="")


def _is_full_jitter(shares: NDArray[np.float64], ceilings_s: NDArray[np.float64], late: float) -> bool:
    error = 3 * _DEVIATION / sqrt(len(shares))
    lateness = float((_LATE_S / ceilings_s).mean())
    lies_in_the_middle = _MEAN - error <= shares.mean() <= _MEAN + error + lateness
    return bool(late <= _MOST_LATE and lies_in_the_middle and shares.std() >= _LEAST_SPREAD)


def _gaps(attempts: Calls, spec: Backoff) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each pause before a retry, and what it should stay below, seconds both.

    One span may make several calls: a retry follows the attempt before it that ended last.
    """
    ends: dict[tuple[int, int, int, int], list[int]] = {}
    gaps_s, ceilings_s = [], []
    for row in range(len(attempts)):  # by their start
        number, start_ns = int(attempts.attempt[row]), int(attempts.start_ns[row])
        first, last = attempts.trace[row]
        span = int(first), int(last), int(attempts.parent[row])
        before = [end_ns for end_ns in ends.get((*span, number - 1), ()) if end_ns <= start_ns]
        if before:
            gaps_s.append((start_ns - max(before)) / NS_PER_S)
            ceilings_s.append(min(spec.longest, spec.first * 2.0 ** (number - 1)))
        ends.setdefault((*span, number), []).append(int(attempts.end_ns[row]))
    return np.array(gaps_s), np.array(ceilings_s)
