"""Doing several things at once, of which the first failure ends all."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def together(
    acts: Sequence[Coroutine[Any, Any, Any]],
    *,
    prerequisites: Sequence["asyncio.Task[Any]"] = (),
    watch: Coroutine[Any, Any, None],
) -> None:
    """Do all *acts*; return when they and the *prerequisites*, which they may await, are done.

    The first to fail, or *watch* when it raises, cancels the others. Unlike a TaskGroup this raises that first failure
    itself, which is what a user can read.
    """
    watching = asyncio.create_task(watch)
    everything = {*prerequisites, *(asyncio.create_task(act) for act in acts), watching}
    pending = everything - {watching}
    try:
        while pending:
            done, _ = await asyncio.wait({*pending, watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task not in prerequisites):  # a cause before its consequences
                task.result()
            pending -= done
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
