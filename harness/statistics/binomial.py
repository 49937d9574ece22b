"""Exact tails of binomial and Poisson counts, and the interval of a share; no approximation where n is small."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma, log, sqrt
from statistics import NormalDist

_STEPS = 60  # of bisection: far below the last digit that anybody reads
_EXACT_UP_TO = 5000


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies with the confidence that was asked for, ends included."""

    low: float
    high: float

    def hull(self, other: "Interval") -> "Interval":
        """Return the smallest interval that holds both: as careful as the more careful of the two."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


def at_least(count: int, trials: int, share: float) -> float:
    """Return P(X >= count) of a binomial X."""
    if count <= 0:
        return 1.0
    if count > trials or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    return _tail(lambda k: _log_binomial(k, trials, share), count, trials, mode=trials * share)


def share_interval(count: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the two-sided interval of the share behind *count* of *trials* independent ones; [0, 1] without trials.

    Clopper and Pearson's exact one up to 5,000 trials, Wilson's beyond: there they agree to three digits.
    """
    if trials > _EXACT_UP_TO:
        return _wilson(count, trials, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _bisect(lambda share: at_least(count, trials, share) - tail)
    high = 1.0 if count == trials else _bisect(lambda share: at_least(count + 1, trials, share) - (1 - tail))
    return Interval(low, high)


def median_count(trials: int, share: float) -> int:
    """Return the largest count that a system exactly at *share* reaches or passes in at least half of all samples."""
    low, high = 0, trials
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if at_least(middle, trials, share) >= 0.5 else (low, middle - 1)
    return low


def poisson_tail(count: int, mean: float) -> float:
    """Return how likely a Poisson count is at least as far out as *count*, on the side where it lies (one tail)."""
    if mean <= 0:
        return 1.0 if count == 0 else 0.0
    if count < mean:
        return _tail(lambda k: _log_poisson(count - k, mean), 0, count, mode=0)
    far = int(count + 20 * mean**0.5 + 50)
    return _tail(lambda k: _log_poisson(k, mean), count, far, mode=mean)


def _wilson(count: int, trials: int, confidence: float) -> Interval:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = count / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _tail(log_probability: Callable[[int], float], first: int, last: int, mode: float) -> float:
    """Sum probabilities from *first* on; past the *mode* they only fall, so it ends where they stop to matter."""
    total = 0.0
    for k in range(first, last + 1):
        part = exp(log_probability(k))
        total += part
        if k > mode and part < total * 1e-15:
            break
    return min(1.0, total)


def _log_binomial(k: int, trials: int, share: float) -> float:
    ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
    return ways + k * log(share) + (trials - k) * log(1 - share)


def _log_poisson(k: int, mean: float) -> float:
    return k * log(mean) - mean - lgamma(k + 1)


def _bisect(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
