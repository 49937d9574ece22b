"""Random pairs of windows of an interleaved run: when the fault is there, and when the same is looked at without it.

The phase is cut into as many equal slots as there are pairs. Each pair lies at a random place of its slot, so that what
recurs on its own cannot keep step with the fault. In half of the pairs, chosen at random, the fault comes first: what
becomes slower all the time falls out.
"""

from dataclasses import dataclass
from math import floor
from random import Random

from harness.model.files.design import Interleaved

Edges = tuple[float, float]
"""Start and end in seconds after the load starts."""


@dataclass(frozen=True, slots=True)
class PairOfWindows:
    """Two windows side by side, one without the fault and one with it."""

    control: Edges
    fault: Edges


def draw_pairs(design: Interleaved, *, start_s: float, length_s: float, seed: int) -> list[PairOfWindows]:
    """Return the pairs of a fault phase, in order; the same seed always draws the same ones."""
    random = Random(f"{seed}/pairs")
    count = max(1, design.pairs_in(length_s))
    slot_s = length_s / count
    first = _balanced(random, count)
    slack_s = max(0.0, slot_s - 2 * design.window)
    starts = [start_s + number * slot_s + random.random() * slack_s for number in range(count)]
    return [_pair(_whole_ms(at_s), design.window, fault_first) for at_s, fault_first in zip(starts, first, strict=True)]


def _balanced(random: Random, count: int) -> list[bool]:
    """Return who comes first: half of the pairs each way, an odd one either way."""
    first = [number % 2 == 0 for number in range(count)]
    if count % 2 and random.random() < 0.5:
        first = [not each for each in first]
    random.shuffle(first)
    return first


def _pair(at_s: float, window_s: float, fault_first: bool) -> PairOfWindows:
    middle_s, end_s = round(at_s + window_s, 9), round(at_s + 2 * window_s, 9)
    halves = ((at_s, middle_s), (middle_s, end_s))
    return PairOfWindows(control=halves[fault_first], fault=halves[not fault_first])


def _whole_ms(seconds: float) -> float:
    return floor(seconds * 1000 + 1e-6) / 1000
