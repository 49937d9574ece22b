"""Call outcomes of the last seconds, in time buckets: memory and cost do not grow with traffic."""

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts of one bucket or of the whole window."""

    calls: int = 0
    failed: int = 0
    slow: int = 0

    def add(self, other: "Tally") -> None:
        """Add the counts of *other* to this tally."""
        self.calls += other.calls
        self.failed += other.failed
        self.slow += other.slow


class RateWindow:
    """Sliding tally over `buckets` slices of a window of `window_s` seconds; times may only grow."""

    def __init__(self, window_s: float, buckets: int) -> None:
        self._bucket_s = window_s / buckets
        self._buckets = buckets
        self._slices: deque[tuple[int, Tally]] = deque()

    def record(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """Count one finished call at *now_s*."""
        index = int(now_s // self._bucket_s)
        if not self._slices or self._slices[-1][0] != index:
            self._slices.append((index, Tally()))
        self._slices[-1][1].add(Tally(1, int(failed), int(slow)))

    def total(self, now_s: float) -> Tally:
        """Return the tally of the calls that the window still covers at *now_s*."""
        oldest = int(now_s // self._bucket_s) - self._buckets + 1
        while self._slices and self._slices[0][0] < oldest:
            self._slices.popleft()
        total = Tally()
        for _, tally in self._slices:
            total.add(tally)
        return total

    def clear(self) -> None:
        """Forget every call."""
        self._slices.clear()
