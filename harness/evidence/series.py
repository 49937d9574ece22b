"""One metric of a recording as series, and what each of them shows of a window: a range, because scrapes have gaps.

A scrape that is missing hides what happened meanwhile, so a measure is a range: what it is at least and at most.
A range of one value is a measurement; a bound decides where the whole range is on one side of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.facts import Facts, Sample

EDGE_NS = 2 * NS_PER_S
"""A counter's value at an edge is the last one seen before it, no longer ago than this."""

_SLOWEST_INTERVAL_NS = 2 * NS_PER_S
_MISSED = 3  # scrapes in a row
_SAME_SCRAPE_NS = NS_PER_S // 4
PROCESS_START = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Range:
    """What a value is at least and at most."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        """Add two quantities, each known to be within its range."""
        return Range(self.low + other.low, self.high + other.high)


ANYTHING = Range(-inf, inf)


@dataclass(frozen=True, slots=True)
class Point:
    """A value at one time; NaN where it cannot be read, or where two scrapes of one moment contradict each other."""

    time_ns: int
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series in time order, each moment once, and when its service was scraped and restarted."""

    service: str
    labels: Mapping[str, str]
    points: Sequence[Point]
    schedule: Sequence[int]  # moments at which the service answered a scrape
    starts: Sequence[Point]  # of its process, where it tells

    @property
    def longest_ns(self) -> int:
        """The longest time between two scrapes that is no gap."""
        times = self.schedule if len(self.schedule) > 2 else [point.time_ns for point in self.points]
        usual = float(np.median(np.diff(times))) if len(times) > 2 else NS_PER_S
        return int(_MISSED * min(max(usual, NS_PER_S), _SLOWEST_INTERVAL_NS))

    def inside(self, window: Window) -> list[Point]:
        """Return the points of *window*."""
        return [point for point in self.points if window.start_ns <= point.time_ns < window.end_ns]

    def is_covered(self, window: Window) -> bool:
        """Say whether *window* has no gap: between its scrapes, and between them and its edges."""
        times = [p.time_ns for p in self.points if window.start_ns - EDGE_NS <= p.time_ns < window.end_ns]
        times = [time for time in times if time >= window.start_ns] or times
        edges = [window.start_ns, *times, window.end_ns]
        return bool(times) and all(later - earlier <= self.longest_ns for earlier, later in pairwise(edges))

    def restarted(self, after_ns: int, until_ns: int) -> bool:
        """Say whether the process that counts is another one at *until_ns* than at *after_ns*, as it tells itself."""
        before = [point.value for point in self.starts if point.time_ns <= after_ns][-1:]
        later = [point.value for point in self.starts if point.time_ns <= until_ns][-1:]
        return bool(before and later and before != later)


def series_of(facts: "Facts", name: str, service: str | None, labels: Mapping[str, str]) -> list[Series]:
    """Return the series of a metric, of one service and with these labels; all without."""
    found: dict[tuple[str, str], list[Sample]] = {}
    seen: dict[str, list[int]] = {}
    for sample in facts.metric(name):
        seen.setdefault(sample.service, []).append(sample.time_ns)
        wanted = all(sample.labels.get(key) == value for key, value in labels.items())
        if wanted and service in (None, sample.service):
            found.setdefault((sample.service, repr(sorted(sample.labels.items()))), []).append(sample)
    starts = facts.metric(PROCESS_START) if found else []
    return [_series(facts, samples, starts, seen[samples[0].service]) for samples in found.values()]


def _series(facts: "Facts", samples: Sequence["Sample"], starts: Sequence["Sample"], seen_ns: Sequence[int]) -> Series:
    """Where nobody recorded `up`, the service was scraped whenever it gave any series of the metric."""
    service = samples[0].service
    scrapes = facts.scrapes.get(service, ())
    down = [time for time, is_up in scrapes if not is_up]
    told = [s for s in samples if not any(abs(s.time_ns - time) < _SAME_SCRAPE_NS for time in down)]
    up = [time for time, is_up in scrapes if is_up] if scrapes else sorted(set(seen_ns))
    return Series(service, samples[0].labels, _points(told), up, _points([s for s in starts if s.service == service]))


def _points(samples: Sequence["Sample"]) -> list[Point]:
    values: dict[int, list[float]] = {}
    for sample in samples:
        values.setdefault(sample.time_ns, []).append(sample.value)
    one = {time: several[0] if len(set(several)) == 1 else float("nan") for time, several in values.items()}
    return [Point(time, one[time]) for time in sorted(one)]


def increase(series: Series, window: Window) -> Range | None:
    """Return by how much a counter grew; None where nothing of it reaches the window.

    A counter that falls, or whose process started anew, counts from 0 again. What it counted between the last scrape
    and a restart is lost: nothing to speak of between two scrapes, anything in a gap.
    """
    points = _reaching(series, window)
    if not points:
        return None
    if not all(isfinite(point.value) for point in points):
        return ANYTHING
    total = _before_first(series, points[0], window)
    for earlier, later in pairwise(points):
        total += _step(series, earlier, later)
    return total + _after_last(series, points[-1], window)


def _reaching(series: Series, window: Window) -> list[Point]:
    inside = series.inside(window)
    before = [p for p in series.points if window.start_ns - EDGE_NS <= p.time_ns < window.start_ns][-1:]
    return before + inside


def _step(series: Series, earlier: Point, later: Point) -> Range:
    is_gap = later.time_ns - earlier.time_ns > series.longest_ns
    if later.value < earlier.value or series.restarted(earlier.time_ns, later.time_ns):
        return Range(later.value, inf if is_gap else later.value)
    grown = later.value - earlier.value
    return Range(grown, inf if is_gap else grown)


def _before_first(series: Series, first: Point, window: Window) -> Range:
    """A series whose first value is inside: born there if its service was scraped before, else who knows when."""
    if first.time_ns < window.start_ns:
        return Range(0.0, 0.0)
    earlier = [point for point in series.points if point.time_ns < window.start_ns][-1:]
    if earlier:  # it was there, but not lately
        return _step(series, earlier[0], first)
    if any(first.time_ns - series.longest_ns <= time < first.time_ns for time in series.schedule):
        return Range(first.value, first.value)
    is_late = first.time_ns - window.start_ns > series.longest_ns
    return Range(0.0, inf if is_late and series.schedule else first.value)


def _after_last(series: Series, last: Point, window: Window) -> Range:
    """What comes after the last value inside: near the end little, after a missed scrape what the next one shows."""
    unseen_ns = window.end_ns - last.time_ns
    later = [point for point in series.points if point.time_ns >= window.end_ns][:1]
    if unseen_ns <= series.longest_ns:
        missed = later and unseen_ns > series.longest_ns // 2 and isfinite(later[0].value)
        return Range(0.0, _step(series, last, later[0]).high if missed else 0.0)
    return Range(0.0, inf)


def extreme(series: Series, window: Window, *, highest: bool) -> Range | None:
    """Return a gauge's highest or lowest value; in a gap it may have been anything beyond."""
    values = [point.value for point in series.inside(window)]
    if not values:
        return None
    if not all(isfinite(value) for value in values):
        return ANYTHING
    value = max(values) if highest else min(values)
    if series.is_covered(window):
        return Range(value, value)
    return Range(value, inf) if highest else Range(-inf, value)


def last(series: Series, window: Window) -> Range | None:
    """Return a gauge's last value, if it was seen near the end of *window*."""
    inside = series.inside(window)
    if not inside:
        return None
    point = inside[-1]
    is_near = window.end_ns - point.time_ns <= series.longest_ns
    return Range(point.value, point.value) if is_near and isfinite(point.value) else ANYTHING


def missing_tenants(found: Sequence[Series], tenants: Sequence[str], window: Window) -> Iterator[str]:
    """Yield tenants that have load and no series, where others had theirs before the window began."""
    for label in ("tenant", "tenant.id", "tenant_id"):
        told = {s.labels[label] for s in found if label in s.labels}
        early = {s.labels[label] for s in found if label in s.labels and s.points[0].time_ns < window.start_ns}
        if early & set(tenants):
            yield from (tenant for tenant in tenants if tenant not in told)
