"""What a tenant was told before, for when its database cannot be asked: bounded, and apart for each tenant.

Each key has at most one question to the database under way. Whoever asks for the key meanwhile shares it; nobody who
stops waiting ends it, so that a slow database costs neither a connection a request nor the answer that was on its way.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from target_stack.kit.call_context import CallContext, current_context, set_context
from target_stack.kit.clock import Clock, SystemClock
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import Deadline, DeadlineExceededError

T = TypeVar("T")
ENTRIES = 1000
PATIENCE_S = 0.1
REFRESH_WITHIN_S = 3.0
"""How long a question may take that nobody waits for any more."""
MOST_REFRESHES = 4
"""How many questions of a tenant may be under way before what is known is served without asking: fewer than it has
connections, so that what is not known yet can still be asked."""


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """An answer, and whether it is one of before."""

    value: T
    stale: bool


@dataclass(frozen=True, slots=True)
class CacheFlaws:
    """What is wrong with a cache while something is proved; nothing in ordinary operation."""

    forgets: bool = False  # nothing is told that was told before
    denies_age: bool = False  # an old answer passes for a fresh one
    shares: bool = False  # all tenants have one shelf


class Shelf(Generic[T]):
    """The last answers of one tenant, and the questions that are under way."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self.known: OrderedDict[str, T] = OrderedDict()
        self.asking: dict[str, asyncio.Task[T]] = {}

    def keep(self, key: str, value: T) -> None:
        """Remember an answer; the least used one leaves."""
        self.known[key] = value
        self.known.move_to_end(key)
        if len(self.known) > self._entries:
            self.known.popitem(last=False)


class StaleCache(Generic[T]):
    """The last answers for each tenant, the least used leave first."""

    def __init__(self, *, flaws: CacheFlaws = CacheFlaws(), entries: int = ENTRIES, clock: Clock | None = None) -> None:
        self._flaws = flaws
        self._entries = entries
        self._clock = clock or SystemClock()
        self._shelves: dict[str, Shelf[T]] = {}

    async def ask(self, tenant: str, key: str, question: Callable[[], Awaitable[T]]) -> Remembered[T]:
        """Return what *question* answers; where the database keeps it waiting or is gone, what it answered before.

        Without such an answer the question takes its time, and what it raises goes through.
        """
        if self._flaws.forgets:
            return Remembered(await question(), stale=False)
        shelf = self._shelves.setdefault("" if self._flaws.shares else tenant, Shelf(self._entries))
        is_known = key in shelf.known
        if is_known and key not in shelf.asking and len(shelf.asking) >= MOST_REFRESHES:
            return self._of_before(shelf, key)
        try:
            async with asyncio.timeout(PATIENCE_S if is_known else None):
                return Remembered(await asyncio.shield(self._question(shelf, key, question)), stale=False)
        except (DatabaseUnavailableError, DeadlineExceededError, TimeoutError):
            if not is_known or key not in shelf.known:
                raise
            return self._of_before(shelf, key)

    def _of_before(self, shelf: Shelf[T], key: str) -> Remembered[T]:
        return Remembered(shelf.known[key], stale=not self._flaws.denies_age)

    def _question(self, shelf: Shelf[T], key: str, question: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """Return the question about *key* that is under way, or begin it."""
        asking = shelf.asking.get(key)
        if asking is None or asking.done():
            asking = shelf.asking[key] = asyncio.create_task(self._answer(shelf, key, question), name=f"refresh {key}")
            asking.add_done_callback(lambda task: _over(shelf, key, task))
        return asking

    async def _answer(self, shelf: Shelf[T], key: str, question: Callable[[], Awaitable[T]]) -> T:
        self._give_time()
        value = await question()
        shelf.keep(key, value)
        return value

    def _give_time(self) -> None:
        """Give this question time of its own, in place of what the first who asked had left."""
        asker = current_context()
        caller, tenant = (None, "") if asker is None else (asker.caller, asker.named_tenant)
        set_context(CallContext(Deadline.after(REFRESH_WITHIN_S, self._clock), caller, tenant))


def _over(shelf: Shelf[T], key: str, task: "asyncio.Task[T]") -> None:
    if shelf.asking.get(key) is task:
        del shelf.asking[key]
    if not task.cancelled():
        task.exception()  # nobody may be left who wants to know
