"""What a sample would have shown: the harm that so few bad ones among so many exclude, and runs that are no chance."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.binomial import at_least, share_interval

FOUND = 0.95
"""With this probability a run must have found the harm that it says is not there."""

NOT_CHANCE = 1e-3
FEWEST_IN_A_RUN = 3
_MOST = 1_000_000
_EVEN_ODDS = 1 - 2 * (1 - FOUND)


def would_notice(bad: int, rows: int, harm: float) -> bool:
    """Say whether a true share of *harm* would have shown more than *bad* of *rows* with 95 % probability."""
    return harm >= 1 or at_least(bad + 1, rows, harm) >= FOUND


@lru_cache(maxsize=1024)
def rows_to_notice(bad: int, harm: float) -> int:
    """Return how many rows, *bad* of them, would exclude *harm*: 59 clean ones for 5 %."""
    if harm >= 1:
        return bad + 1
    low = high = bad + 1
    while high < _MOST and not would_notice(bad, high, harm):
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if would_notice(bad, middle, harm) else (middle + 1, high)
    return low


def largest_unseen(bad: int, rows: int) -> float:
    """Return the largest share that could have gone unseen: the upper end of the one-sided 95 % interval."""
    return share_interval(bad, rows, _EVEN_ODDS).high if rows else 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive bad rows: the positions of the first and of the last."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


def longest_run(bad: NDArray[np.bool_]) -> Run | None:
    """Return the longest stretch of consecutive bad rows, the first of equals; None without any."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
    if not len(edges):
        return None
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return Run(int(starts[longest]), int(ends[longest]) - 1)


def is_no_chance(run: Run, rows: int, share: float) -> bool:
    """Say whether single bad rows at *share*, independent of each other, hardly ever fall into a run this long."""
    return len(run) >= FEWEST_IN_A_RUN and float(rows * share ** len(run)) < NOT_CHANCE
