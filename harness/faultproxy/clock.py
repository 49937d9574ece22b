"""Time as the data plane sees it: a monotonic now, a wall clock for evidence, and timers."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A pending call that can still be called off."""

    def cancel(self) -> None:
        """Drop the call; harmless when it already happened."""


class Clock(Protocol):
    """What stages may know about time; tests turn a fake one."""

    def now_s(self) -> float:
        """Monotonic seconds."""

    def unix_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC."""

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, at or shortly after *due_s* on the monotonic clock; a due time in the past means soon."""


class LoopClock:
    """The clock of a running event loop, which must count `time.monotonic`, as asyncio's own does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now_s = time.monotonic
        self.unix_ns = time.time_ns

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Timer:
        """See `Clock.call_at`; a timer may fire a hair early, so callers check the due time again."""
        if due_s <= time.monotonic():
            return self._loop.call_soon(callback)
        return self._loop.call_at(due_s, callback)
