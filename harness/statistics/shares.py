"""Is a share of bad ones within what is allowed? Yes, no, or not decidable with so few.

Every bound of ours is such a question. "errors < 1%": may more than 1 % be bad. "p95 < 250 ms": may more than 5 % take
longer. A latency that never came fits in, small samples have an exact answer, and one interval serves all.
"""

from dataclasses import dataclass
from enum import Enum
from math import ceil

from harness.statistics.binomial import Interval, median_count, share_interval
from harness.statistics.blocks import ShareInBlocks, bootstrap_share

FEWEST = 5
"""With fewer rows even a system of which half is bad would too often look clean."""


class Answer(Enum):
    """To the question whether a share is within its limit."""

    WITHIN = "within"
    BEYOND = "beyond"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; where it is open, about how many rows would do (0: nobody can say)."""

    answer: Answer
    interval: Interval | None = None  # of the share, at 95 %; none where it was not needed
    would_do: int = 0


def decide(counted: ShareInBlocks, allowed: float, *, inside: bool, minimum: int, seed: int) -> Decision:
    """Decide whether the share of bad rows is within *allowed*.

    WITHIN: the estimate is *inside* and rests on *minimum* rows; or on fewer, FEWEST at least, of which no more are bad
    than a system exactly at the limit shows in half of all samples. BEYOND: it is outside, and so is the whole
    interval: the wider of block bootstrap and exact binomial. Else OPEN.
    """
    bad, rows = int(counted.bad.sum()), int(counted.of.sum())
    if rows and allowed >= 1:
        return Decision(Answer.WITHIN)
    if rows < FEWEST:
        return Decision(Answer.OPEN, would_do=minimum)
    if inside if rows >= minimum else bad <= median_count(rows, allowed):
        return Decision(Answer.WITHIN)
    interval = share_interval(bad, rows).hull(bootstrap_share(counted, seed=seed))
    if interval.low > allowed or (allowed == 0 and bad):
        return Decision(Answer.BEYOND, interval)
    return Decision(Answer.OPEN, interval, max(minimum, _would_do(bad / rows, rows, interval, allowed)))


def smallest_sample(allowed: float) -> int:
    """Return how many rows a share of *allowed* needs before one bad row is what is allowed: p95 20, p99 100."""
    return ceil(1 / allowed - 1e-9) if allowed > 0 else FEWEST


def _would_do(share: float, rows: int, interval: Interval, allowed: float) -> int:
    """Intervals shrink with the root of the sample: how large must it be for this one to end at the limit?"""
    gap, half = share - allowed, (interval.high - interval.low) / 2
    return ceil(rows * (half / gap) ** 2) if gap > 0 else 0
