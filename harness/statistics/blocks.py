"""Block bootstrap: intervals that hold where neighbours in time resemble each other, as requests in trouble do.

Whole blocks (about a second each) are drawn with replacement, so what belongs together in time stays together.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.binomial import Interval

RESAMPLES = 500
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_BINS = 640  # of latencies between 0.05 ms and 200 s: 2.4 % a bin
_EDGES_MS: Floats = np.geomspace(0.05, 200_000, _BINS - 1)


@dataclass(frozen=True, slots=True)
class ShareInBlocks:
    """How many of how many were bad, block by block."""

    bad: Ints
    of: Ints

    @classmethod
    def count(cls, bad: NDArray[np.bool_], block: Ints, blocks: int) -> "ShareInBlocks":
        """Fold rows that are bad or not, each with its block's number from 0."""
        total = np.bincount(block, minlength=blocks)
        return cls(np.bincount(block[bad], minlength=blocks), total)

    @property
    def share(self) -> float:
        """The share in all blocks together; NaN without rows."""
        return float(self.bad.sum() / self.of.sum()) if self.of.sum() else float("nan")


def bootstrap_share(counted: ShareInBlocks, *, seed: int, confidence: float = 0.95) -> Interval:
    """Return the percentile interval of a share; [0, 1] without rows. Blocks without rows are not drawn."""
    filled = counted.of > 0
    if not filled.any():
        return Interval(0.0, 1.0)
    draws = _draws(int(filled.sum()), seed)
    return _percentiles((draws @ counted.bad[filled]) / (draws @ counted.of[filled]), confidence)


@dataclass(frozen=True, slots=True)
class LatenciesInBlocks:
    """Latencies as one histogram a block, on a logarithmic scale; what never came is in the last bin."""

    counts: Ints  # [block, bin]

    @classmethod
    def count(cls, latency_ms: Floats, block: Ints, blocks: int) -> "LatenciesInBlocks":
        """Fold rows, each with its block's number from 0."""
        cell = block * _BINS + np.searchsorted(_EDGES_MS, latency_ms)
        return cls(np.bincount(cell, minlength=blocks * _BINS).reshape(blocks, _BINS))

    def resampled_quantile_ms(self, quantile: float, *, seed: int) -> Floats:
        """Return the quantile in each resample, at the upper edge of its bin; resamples without rows are left out."""
        occupied = np.flatnonzero(self.counts.any(axis=0))  # a quantile lies in a bin that has rows
        if not len(occupied):
            return np.empty(0)
        running = np.cumsum(_draws(len(self.counts), seed) @ self.counts[:, occupied], axis=1)
        running = running[running[:, -1] > 0]
        rank = np.ceil(quantile * running[:, -1:] - 1e-9)
        upper = np.append(_EDGES_MS, _EDGES_MS[-1] * 2)
        edges: Floats = upper[occupied[(running < rank).sum(axis=1)]]
        return edges


def ratio_interval(
    before: LatenciesInBlocks, after: LatenciesInBlocks, quantile: float, *, seed: int, confidence: float = 0.95
) -> Interval | None:
    """Return by how many times a quantile of *after* exceeds that of *before*; None where either has no rows."""
    if not before.counts.any() or not after.counts.any():
        return None
    below = before.resampled_quantile_ms(quantile, seed=seed)
    above = after.resampled_quantile_ms(quantile, seed=seed + 1)
    size = min(len(below), len(above))
    return _percentiles(above[:size] / below[:size], confidence)


@lru_cache(maxsize=64)
def _draws(blocks: int, seed: int) -> Floats:
    """Return how often each block stands in each resample, [resample, block]; as floats, whose products are fast."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES)
    return drawn.astype(np.float64)


def _percentiles(values: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, tail, method="lower"), np.quantile(values, 1 - tail, method="higher")
    return Interval(float(low), float(high))
