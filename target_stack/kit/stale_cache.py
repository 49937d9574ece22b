"""What a tenant was told before, for when its database cannot be asked: bounded, and apart for each tenant."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DeadlineExceededError

T = TypeVar("T")
ENTRIES = 1000
PATIENCE_S = 0.1


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """An answer, and whether it is one of before."""

    value: T
    stale: bool


class StaleCache(Generic[T]):
    """The last answers for each tenant, the least used leave first; without isolation all tenants share them."""

    def __init__(self, *, is_isolated: bool = True, entries: int = ENTRIES) -> None:
        self._is_isolated = is_isolated
        self._entries = entries
        self._shelves: dict[str, OrderedDict[str, T]] = {}

    async def ask(self, tenant: str, key: str, question: Callable[[], Awaitable[T]]) -> Remembered[T]:
        """Return what *question* answers; where the database keeps it waiting or is gone, what it answered before.

        Without such an answer the question takes its time, and what it raises goes through.
        """
        shelf = self._shelves.setdefault(tenant if self._is_isolated else "", OrderedDict())
        known = key in shelf
        try:
            async with asyncio.timeout(PATIENCE_S if known else None):
                value = await question()
        except (DatabaseUnavailableError, DeadlineExceededError, TimeoutError):
            if not known:
                raise
            return Remembered(shelf[key], stale=True)
        self._keep(shelf, key, value)
        return Remembered(value, stale=False)

    def _keep(self, shelf: OrderedDict[str, T], key: str, value: T) -> None:
        shelf[key] = value
        shelf.move_to_end(key)
        if len(shelf) > self._entries:
            shelf.popitem(last=False)
