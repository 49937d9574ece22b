"""Effects from random pairs of windows, one with the fault and one without: how large, how sure, what could be seen.

A pair is a block in time, so whatever neighbours in time share falls out of its difference. Intervals come from the
scatter between pairs: they need no independence of single requests. Several effects are judged together (Bonferroni:
each interval gets its share of the error), so that the chance of any false one among them stays what it is for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from math import exp, lgamma, log, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harness.statistics.binomial import Interval

Floats = NDArray[np.float64]
FEWEST_PAIRS = 3
CONFIDENCE = 0.95
POWER = 0.95
_STEPS = 2000  # of the integral of Student's density
MOST_PAIRS = 200


class Contained(Enum):
    """Where an effect lies against a margin."""

    CONTAINED = "contained"
    LEAKED = "leaked"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect: its mean over the pairs, a simultaneous interval, and the scatter of a single pair."""

    mean: float
    interval: Interval
    pairs: int
    scatter: float

    def against(self, margin: float) -> Contained:
        """Contained if the whole interval is at most *margin*, leaked if all of it is beyond, else open."""
        if self.interval.high <= margin:
            return Contained.CONTAINED
        return Contained.LEAKED if self.interval.low > margin else Contained.OPEN

    def pairs_to_decide(self, margin: float) -> int:
        """Return about how many pairs would decide it at this scatter; 0 where the mean lies on the margin."""
        gap = abs(self.mean - margin)
        return pairs_needed(gap, self.scatter) if gap > 0 else 0


def effects_of(by_pair: Sequence[Floats], *, confidence: float = CONFIDENCE) -> list[Effect]:
    """Return the effect behind each series of per-pair differences, with intervals that hold for all of them at once.

    With fewer than three pairs an interval reaches from minus to plus infinity.
    """
    each = 1 - (1 - confidence) / max(1, len(by_pair))
    return [_effect(np.asarray(series, dtype=np.float64), each) for series in by_pair]


def _effect(series: Floats, confidence: float) -> Effect:
    pairs = len(series)
    if pairs < FEWEST_PAIRS:
        mean = float(series.mean()) if pairs else float("nan")
        return Effect(mean, Interval(-np.inf, np.inf), pairs, float("nan"))
    mean, scatter = float(series.mean()), float(series.std(ddof=1))
    half = student_quantile((1 + confidence) / 2, pairs - 1) * scatter / sqrt(pairs)
    return Effect(mean, Interval(mean - half, mean + half), pairs, scatter)


def less_reference(effects: Floats, reference: Floats, weight: float) -> Floats:
    """Take what the untouched reference did meanwhile off the effects; *weight* is clipped to 0..1."""
    adjusted: Floats = effects - min(1.0, max(0.0, weight)) * reference
    return adjusted


def reference_weight(effects: Floats, reference: Floats) -> float:
    """Return how much of a calm subject's change its reference explains: the slope of one on the other, 0 to 1."""
    spread = reference - reference.mean() if len(reference) else reference
    square = float((spread**2).sum())
    return float(np.clip((spread * (effects - effects.mean())).sum() / square, 0.0, 1.0)) if square > 0 else 0.0


def detectable(pairs: int, scatter: float, *, effects: int = 1, power: float = POWER) -> float:
    """Return the smallest of so many *effects* that *pairs* pairs find with *power*; infinite for too few pairs."""
    if pairs < FEWEST_PAIRS:
        return float("inf")
    wide = student_quantile(1 - (1 - CONFIDENCE) / 2 / effects, pairs - 1)
    return float((wide + student_quantile(power, pairs - 1)) * scatter / sqrt(pairs))


def pairs_needed(effect: float, scatter: float, *, power: float = POWER) -> int:
    """Return how many pairs find *effect* with *power*; 200 stands for that many or more."""
    return next(
        (n for n in range(FEWEST_PAIRS, MOST_PAIRS) if detectable(n, scatter, power=power) <= effect), MOST_PAIRS
    )


@lru_cache(maxsize=4096)
def student_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t; normal from 200 degrees of freedom on."""
    if freedom >= MOST_PAIRS:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, 700.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 + _area(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _area(upto: float, freedom: int) -> float:
    """Integrate Student's density from 0 to *upto*, by Simpson's rule in the angle: t = sqrt(freedom) tan(a)."""
    angles = np.linspace(0.0, np.arctan(upto / sqrt(freedom)), _STEPS + 1)
    scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * log(pi))
    heights = np.cos(angles) ** (freedom - 1)
    inner = 4 * heights[1:-1:2].sum() + 2 * heights[2:-1:2].sum()
    return float(scale * (angles[1] - angles[0]) / 3 * (heights[0] + inner + heights[-1]))
