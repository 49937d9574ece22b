"""One clock for a whole run: UTC nanoseconds that never jump, the same in every process of the harness."""

import time
from dataclasses import dataclass, field
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What logic that needs time takes; tests turn a fake one."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class SteadyClock:
    """UTC at the anchor plus monotonic time since: NTP steps during a run cannot bend its latencies.

    The monotonic clock is the machine's, so a second process that is given the same anchor reads the same times.
    """

    anchor_utc_ns: int = field(default_factory=time.time_ns)
    anchor_monotonic_ns: int = field(default_factory=time.monotonic_ns)

    def now_ns(self) -> int:
        """Return UTC nanoseconds since the epoch."""
        return self.anchor_utc_ns + time.monotonic_ns() - self.anchor_monotonic_ns
