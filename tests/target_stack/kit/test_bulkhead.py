import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_stack.kit.bulkhead import (
    Bulkhead,
    BulkheadFullError,
    BulkheadOutcome,
    BulkheadRejection,
    BulkheadSettings,
)


class Scene:
    def __init__(self, **numbers) -> None:
        self.rejections = []
        self.bulkhead = Bulkhead("a -> b", BulkheadSettings(**numbers), self.rejections.append)
        self.order = []

    async def visit(self, name, leave: asyncio.Event) -> None:
        async with self.bulkhead.place():
            self.order.append(name)
            await leave.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_beyond_limit_and_queue_calls_are_refused_at_once():
    async def story():
        scene, leave = Scene(limit=2, queue_limit=1, queue_wait_s=60), asyncio.Event()
        visits = [asyncio.create_task(scene.visit(name, leave)) for name in "abc"]
        await settle()
        with pytest.raises(BulkheadFullError):
            async with scene.bulkhead.place():
                pass
        assert (scene.bulkhead.in_use, scene.bulkhead.waiting) == (2, 1)
        leave.set()
        await asyncio.gather(*visits)
        return scene

    scene = asyncio.run(story())
    assert scene.rejections == [BulkheadRejection("a -> b", BulkheadOutcome.FULL)]
    assert scene.order == ["a", "b", "c"]
    assert (scene.bulkhead.in_use, scene.bulkhead.waiting) == (0, 0)


def test_patience_in_the_queue_ends():
    async def story():
        scene, leave = Scene(limit=1, queue_limit=1, queue_wait_s=0.01), asyncio.Event()
        visit = asyncio.create_task(scene.visit("a", leave))
        await settle()
        with pytest.raises(BulkheadFullError):
            async with scene.bulkhead.place():
                pass
        leave.set()
        await visit
        return scene

    scene = asyncio.run(story())
    assert scene.rejections == [BulkheadRejection("a -> b", BulkheadOutcome.QUEUE_TIMEOUT)]
    assert (scene.bulkhead.in_use, scene.bulkhead.waiting) == (0, 0)


def test_a_place_that_comes_with_the_cancellation_goes_to_the_next():
    async def story():
        scene, first, rest = Scene(limit=1, queue_limit=2, queue_wait_s=60), asyncio.Event(), asyncio.Event()
        visits = [asyncio.create_task(scene.visit("a", first))]
        await settle()
        visits += [asyncio.create_task(scene.visit(name, rest)) for name in "bc"]
        await settle()
        first.set()
        await asyncio.sleep(0)  # "a" leaves and hands its place to "b", who has not run yet
        visits[1].cancel()
        await settle()
        assert scene.order == ["a", "c"]
        rest.set()
        await asyncio.gather(*visits, return_exceptions=True)
        return scene

    assert asyncio.run(story()).bulkhead.in_use == 0


def test_a_failing_block_gives_its_place_back():
    async def story():
        scene = Scene(limit=1)
        with pytest.raises(ZeroDivisionError):
            async with scene.bulkhead.place():
                raise ZeroDivisionError
        return scene

    assert asyncio.run(story()).bulkhead.in_use == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["enter", "leave", "cancel", "tick"]), max_size=60))
def test_whatever_happens_no_place_is_lost_or_made(acts):
    async def story():
        scene = Scene(limit=3, queue_limit=3, queue_wait_s=60)
        inside = 0
        most = 0

        async def visit(leave):
            nonlocal inside, most
            with contextlib.suppress(BulkheadFullError):
                async with scene.bulkhead.place():
                    inside += 1
                    most = max(most, inside)
                    try:
                        await leave.wait()
                    finally:
                        inside -= 1

        visits = []
        for act in acts:
            if act == "enter":
                leave = asyncio.Event()
                visits.append((asyncio.create_task(visit(leave)), leave))
            elif act == "tick":
                await asyncio.sleep(0)
            elif visits:
                task, leave = visits.pop(0)
                leave.set() if act == "leave" else task.cancel()
        for _, leave in visits:
            leave.set()
        await settle()
        everyone = asyncio.all_tasks() - {asyncio.current_task()}
        if everyone:
            await asyncio.wait(everyone, timeout=10)
        assert most <= 3
        assert (inside, scene.bulkhead.in_use, scene.bulkhead.waiting) == (0, 0, 0)

    asyncio.run(story())
