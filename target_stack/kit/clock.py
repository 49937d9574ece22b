"""Time, as something that is handed in: tests turn a fake one."""

import time
from typing import Protocol


class Clock(Protocol):
    """What logic that needs time takes."""

    def monotonic_s(self) -> float:
        """Return seconds that never jump, from an arbitrary start."""
        ...

    def unix_ns(self) -> int:
        """Return UTC nanoseconds since the epoch."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_s(self) -> float:
        """Return seconds that never jump, from an arbitrary start."""
        return time.monotonic()

    def unix_ns(self) -> int:
        """Return UTC nanoseconds since the epoch."""
        return time.time_ns()
