"""Several effects against their margins: which leaked, which are contained, which are open.

A leak must show in an interval that holds for all effects at once, so that many of them raise no more false alarms than
one. Containment asks each interval for itself: who says "all are contained" is wrong only if some single one is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.pairs import Contained, Effect, effects_of

CONFIDENCE = 0.9
"""Of an interval with two ends: each margin lies beyond one of them, with 5 %."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """An effect with the interval that is its own, and where it lies."""

    effect: Effect
    outcome: Contained


def against_margins(by_pair: Sequence[Floats], margins: Sequence[float]) -> list[Judged]:
    """Return each effect and where it lies against its margin."""
    together = effects_of(by_pair, confidence=CONFIDENCE)
    alone = [effects_of([series], confidence=CONFIDENCE)[0] for series in by_pair]
    return [Judged(own, _outcome(own, all_, m)) for own, all_, m in zip(alone, together, margins, strict=True)]


def _outcome(own: Effect, together: Effect, margin: float) -> Contained:
    if together.against(margin) is Contained.LEAKED:
        return Contained.LEAKED
    return Contained.CONTAINED if own.against(margin) is Contained.CONTAINED else Contained.OPEN
