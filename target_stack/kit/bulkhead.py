"""Bulkhead: a bounded number of calls at a time, a bounded queue, a bounded wait in it; the rest is refused at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum


class BulkheadOutcome(Enum):
    """Why a bulkhead turned a call away."""

    FULL = "full"
    QUEUE_TIMEOUT = "queue_timeout"


@dataclass(frozen=True, slots=True)
class BulkheadSettings:
    """How many may be inside, how many may wait, and how long."""

    limit: int
    queue_limit: int = 0
    queue_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BulkheadRejection:
    """The bulkhead *name* turned a call away."""

    name: str
    outcome: BulkheadOutcome


class BulkheadFullError(Exception):
    """No place inside, and none in the queue or no patience left."""

    def __init__(self, name: str, outcome: BulkheadOutcome) -> None:
        super().__init__(f"the bulkhead {name} turned the call away: {outcome.value}")
        self.name = name
        self.outcome = outcome


class Bulkhead:
    """First come, first served; a freed place is handed straight to the longest waiter."""

    def __init__(self, name: str, settings: BulkheadSettings, listener: Callable[[BulkheadRejection], None]) -> None:
        self.name = name
        self.settings = settings
        self._listener = listener
        self._in_use = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def in_use(self) -> int:
        """How many calls are inside."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._waiters)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place while the block runs; raise BulkheadFullError when there is none."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self._in_use < self.settings.limit:
            self._in_use += 1
            return
        if len(self._waiters) >= self.settings.queue_limit:
            self._reject(BulkheadOutcome.FULL)
        try:
            async with asyncio.timeout(self.settings.queue_wait_s):
                await self._handed_over()
        except TimeoutError:
            self._reject(BulkheadOutcome.QUEUE_TIMEOUT)

    async def _handed_over(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._forget(waiter)
            else:  # the place came in the same tick as the cancellation: pass it on
                self._leave()
            raise

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        if waiter in self._waiters:  # else the one who left has dropped it already
            self._waiters.remove(waiter)

    def _leave(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._in_use -= 1

    def _reject(self, outcome: BulkheadOutcome) -> None:
        self._listener(BulkheadRejection(self.name, outcome))
        raise BulkheadFullError(self.name, outcome)
