"""By how much a counter grew."""

from collections.abc import Sequence
from itertools import pairwise

from harness.evidence.facts import Sample
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S

EDGE_NS = 2 * NS_PER_S
"""Metrics are scraped every second or so: a counter's value at an edge is the last one seen before it."""


def increase(samples: Sequence[Sample], window: Window) -> float | None:
    """Return by how much a counter grew in *window*; a process that restarts counts from 0 again."""
    before = [s.value for s in samples if window.start_ns - EDGE_NS <= s.time_ns < window.start_ns][-1:]
    values = before + [s.value for s in samples if window.start_ns <= s.time_ns < window.end_ns]
    if not values:
        return None
    if not before and samples[0].time_ns >= window.start_ns:
        values = [0.0, *values]  # the series was born in the window
    return sum(later - earlier if later >= earlier else later for earlier, later in pairwise(values))
