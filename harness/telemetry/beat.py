"""Doing something again and again beside the run, and ending it without cutting it in the middle."""

import asyncio
from collections.abc import Awaitable, Callable


class Beat:
    """Awaits *work* every *interval_s*; a beat that comes late is not made up for."""

    def __init__(
        self, work: Callable[[], Awaitable[None]], interval_s: float, *, first_after_s: float | None = None
    ) -> None:
        self._work = work
        self._interval_s = interval_s
        self._first_after_s = interval_s if first_after_s is None else first_after_s
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first beat comes *first_after_s* from now, without it after one interval."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End after the beat that is under way; what *work* raised is raised here. Safe to repeat."""
        self._ended.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._first_after_s
        while not await self._ends_within(due_s - loop.time()):
            await self._work()
            due_s = max(due_s + self._interval_s, loop.time())

    async def _ends_within(self, seconds: float) -> bool:
        if self._ended.is_set():
            return True  # asked for here: without time to wait, wait_for does not look
        try:
            await asyncio.wait_for(self._ended.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        return True
