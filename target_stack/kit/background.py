"""Work that outlives its request: compensation, clean-up. It is kept track of, and waited for at the end."""

import asyncio
from collections.abc import Coroutine

from target_stack.kit.logs import Log


class BackgroundTasks:
    """Tasks nobody awaits; a failure is a warning in the log, never silence."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Run *work* on its own: the cancellation of the request that started it does not reach it."""
        task = asyncio.create_task(self._run(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is under way, then cancel what is left."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for task in set(self._tasks):
            task.cancel()

    async def _run(self, name: str, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it was, the log shall have it
            self._log.warning(f"{name} failed", error=f"{type(error).__name__}: {error}")
