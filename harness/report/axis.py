"""The run's time axis: phases, and buckets of equal width of which one edge lies on the start of the fault."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_S
from harness.recording.manifest import PhaseWindow

_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the axis; `left` and `width` are shares of the whole of it."""

    name: str
    left: float
    width: float
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Extent:
    """What the axis covers, UTC ns; seconds on it count from `zero_ns`, the start of the load."""

    zero_ns: int
    end_ns: int
    phases: tuple[PhaseWindow, ...] = ()

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.end_ns - self.zero_ns) / NS_PER_S

    def at_s(self, time_ns: float) -> float:
        """Return a moment in seconds after the start of the load."""
        return (time_ns - self.zero_ns) / NS_PER_S

    def start_of(self, phase: Phase) -> int | None:
        """Return the planned start of *phase*; None where the run has no phases."""
        return next((w.start_ns for w in self.phases if w.phase is phase), None)


def extent_of(windows: Sequence[PhaseWindow], seen_ns: tuple[int, int] | None) -> Extent | None:
    """Return the planned axis; without phases that of what was *seen*; None if there was nothing."""
    if windows:
        return Extent(windows[0].start_ns, max(w.end_ns for w in windows), tuple(windows))
    if seen_ns is None:
        return None
    return Extent(seen_ns[0], max(seen_ns[1], seen_ns[0] + NS_PER_S))


@dataclass(frozen=True, slots=True)
class Axis:
    """An extent cut into `count` buckets of `width_s` seconds."""

    extent: Extent
    start_ns: int
    width_s: int
    count: int

    def bucket(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bucket of each moment; those outside the axis give -1."""
        found = (times_ns - self.start_ns) // (self.width_s * NS_PER_S)
        return np.where((found >= 0) & (found < self.count), found, -1)

    def edge_ns(self, bucket: int) -> int:
        """Return where *bucket* begins."""
        return self.start_ns + bucket * self.width_s * NS_PER_S

    def coverage(self) -> NDArray[np.float64]:
        """Return which share of each bucket lies inside the extent: the first and last may stick out."""
        edges = self.start_ns + np.arange(self.count + 1) * self.width_s * NS_PER_S
        inside = np.clip(edges, self.extent.zero_ns, self.extent.end_ns)
        covered: NDArray[np.float64] = np.diff(inside) / (self.width_s * NS_PER_S)
        return covered

    def place(self, time_ns: float) -> float:
        """Return a moment as a share of the axis' length, clipped to it."""
        return min(1.0, max(0.0, (time_ns - self.start_ns) / (self.count * self.width_s * NS_PER_S)))

    def span(self, name: str, begin_ns: int, end_ns: int) -> Span:
        """Return a piece of the axis."""
        left, right = self.place(begin_ns), self.place(end_ns)
        return Span(name, left, right - left, self.extent.at_s(begin_ns), self.extent.at_s(end_ns))

    def phases(self) -> tuple[Span, ...]:
        """Return the phases as pieces of the axis."""
        windows = [w for w in self.extent.phases if w.end_ns > w.start_ns]
        return tuple(self.span(w.phase.value, w.start_ns, w.end_ns) for w in windows)

    def ticks(self, at_most: int = 12) -> tuple[tuple[float, str], ...]:
        """Return (place, label) of round seconds."""
        step_s = next((w for w in (1, 2, *_WIDTHS_S[2:]) if self.extent.seconds / w <= at_most), _WIDTHS_S[-1])
        marks = range(0, int(self.extent.seconds) + 1, step_s)
        return tuple((self.place(self.extent.zero_ns + s * NS_PER_S), f"{s} s") for s in marks)


def cut(extent: Extent, *, at_most: int, at_least_s: int = 1) -> Axis:
    """Cut *extent* into at most so many buckets, none shorter than *at_least_s*."""
    width_s = next(
        (w for w in _WIDTHS_S if w >= at_least_s and extent.seconds / w <= at_most - 1), _widest(extent, at_most)
    )
    width_ns = width_s * NS_PER_S
    fault_ns = extent.start_of(Phase.FAULT) or extent.zero_ns
    start_ns = fault_ns - -(-(fault_ns - extent.zero_ns) // width_ns) * width_ns
    return Axis(extent, start_ns, width_s, -(-(extent.end_ns - start_ns) // width_ns))


def _widest(extent: Extent, at_most: int) -> int:
    return int(extent.seconds // (at_most - 1)) + 1
