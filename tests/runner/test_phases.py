"""Guards end the work when they raise, and never when they are satisfied."""

import asyncio

import pytest

from harness.model.errors import HarnessError, RollbackError
from harness.runner.phases import guarded


async def satisfied():
    return


async def raises(error, after_s=0.0):
    await asyncio.sleep(after_s)
    raise error


def do(work, *guards):
    async def go():
        await asyncio.wait_for(guarded(work(), guards), 5)

    asyncio.run(go())


def test_a_guard_that_is_satisfied_lets_the_work_go_on():
    done = []

    async def work():
        await asyncio.sleep(0.02)
        done.append("all of it")

    do(work, satisfied(), satisfied())
    assert done == ["all of it"]


def test_a_guard_that_raises_ends_the_work():
    undone = []

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            undone.append("rolled back")

    with pytest.raises(HarnessError, match="a service died"):
        do(work, satisfied(), raises(HarnessError("a service died"), 0.01))
    assert undone == ["rolled back"]


def test_a_rollback_that_failed_outweighs_the_guard():
    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RollbackError("still there") from None

    with pytest.raises(RollbackError, match="still there"):
        do(work, raises(HarnessError("a service died"), 0.01))


def test_what_the_work_raises_is_raised():
    with pytest.raises(HarnessError, match="not applied"):
        do(lambda: raises(HarnessError("not applied")), satisfied())
