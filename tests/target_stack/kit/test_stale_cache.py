import asyncio
from contextlib import suppress

import pytest

from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import SystemClock
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.stale_cache import MOST_REFRESHES, CacheFlaws, Remembered, StaleCache


async def gone():
    raise DatabaseUnavailableError


async def too_late():
    raise DeadlineExceededError


async def silent():
    await asyncio.Event().wait()


def answering(value):
    async def answer():
        return value

    return answer


class SlowDatabase:
    """Answers with how often it was asked, a while after the question."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.asked = self.answered = self.cancelled = 0

    async def question(self) -> int:
        self.asked += 1
        number = self.asked
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.answered += 1
        return number


def ask(cache, tenant, question, key="sku-1"):
    return asyncio.run(asyncio.wait_for(cache.ask(tenant, key, question), 20))


@pytest.mark.parametrize("failing", [gone, too_late, silent])
def test_what_was_told_before_is_told_again_and_marked(failing):
    cache = StaleCache()
    assert ask(cache, "acme", answering("a")) == Remembered("a", stale=False)
    assert ask(cache, "acme", failing) == Remembered("a", stale=True)
    assert ask(cache, "acme", answering("b")) == Remembered("b", stale=False)


@pytest.mark.parametrize(("failing", "error"), [(gone, DatabaseUnavailableError), (too_late, DeadlineExceededError)])
def test_without_an_answer_of_before_the_failure_goes_through(failing, error):
    with pytest.raises(error):
        ask(StaleCache(), "acme", failing)


def test_another_tenants_answer_is_no_answer_unless_all_share_one_shelf():
    cache = StaleCache()
    ask(cache, "acme", answering("a"))
    with pytest.raises(DatabaseUnavailableError):
        ask(cache, "globex", gone)
    shared = StaleCache(flaws=CacheFlaws(shares=True))
    ask(shared, "acme", answering("a"))
    assert ask(shared, "globex", gone) == Remembered("a", stale=True)


def test_it_stays_small_and_keeps_what_was_asked_last():
    cache = StaleCache(entries=2)
    for key in ("a", "b", "a", "c"):
        ask(cache, "acme", answering(key), key)
    assert [ask(cache, "acme", gone, key).value for key in ("a", "c")] == ["a", "c"]
    with pytest.raises(DatabaseUnavailableError):
        ask(cache, "acme", gone, "b")


def test_a_fault_of_ours_is_not_hidden_by_the_cache():
    async def broken():
        raise ZeroDivisionError

    cache = StaleCache()
    ask(cache, "acme", answering("a"))
    with pytest.raises(ZeroDivisionError):
        ask(cache, "acme", broken)


def test_a_slow_question_is_asked_once_goes_on_and_its_answer_is_kept():
    async def story():
        cache, database = StaleCache(), SlowDatabase(0.0)
        await cache.ask("acme", "sku-1", database.question)
        database.takes_s = 0.18  # three round trips of a link that is 60 ms slower
        answers = await asyncio.gather(*(cache.ask("acme", "sku-1", database.question) for _ in range(20)))
        await asyncio.sleep(0.15)  # the question has gone on behind their backs
        after = await asyncio.wait_for(cache.ask("acme", "sku-1", gone), 5)
        return set(answers), after, (database.asked, database.answered, database.cancelled)

    told, after, counts = asyncio.run(story())
    assert told == {Remembered(1, stale=True)}
    assert after == Remembered(2, stale=True)
    assert counts == (2, 2, 0)


def test_whoever_joins_a_question_that_is_under_way_gets_its_fresh_answer():
    async def story():
        cache, database = StaleCache(), SlowDatabase(0.0)
        await cache.ask("acme", "sku-1", database.question)
        database.takes_s = 0.18
        first = await cache.ask("acme", "sku-1", database.question)
        return first, await cache.ask("acme", "sku-1", database.question), database.asked

    assert asyncio.run(story()) == (Remembered(1, stale=True), Remembered(2, stale=False), 2)


def test_one_who_leaves_takes_the_question_from_nobody():
    async def story():
        cache, database = StaleCache(), SlowDatabase(0.1)
        impatient = asyncio.create_task(cache.ask("acme", "sku-1", database.question))
        patient = asyncio.create_task(cache.ask("acme", "sku-1", database.question))
        await asyncio.sleep(0)
        impatient.cancel()
        return await patient, database.asked, database.cancelled

    assert asyncio.run(story()) == (Remembered(1, stale=False), 1, 0)


def test_questions_under_way_are_few_and_leave_connections_to_what_is_not_known():
    async def story():
        cache, asked = StaleCache(), []

        async def hangs():
            asked.append(1)
            await asyncio.sleep(60)

        keys = [f"sku-{number}" for number in range(20)]
        for key in keys:
            await cache.ask("acme", key, answering(key))
        told = await asyncio.gather(*(cache.ask("acme", key, hangs) for key in keys))
        return {answer.stale for answer in told}, len(asked)

    assert asyncio.run(story()) == ({True}, MOST_REFRESHES)


def test_a_question_has_time_of_its_own_and_not_what_its_first_asker_had_left():
    clock = SystemClock()
    left_s = []

    async def look_at_the_clock():
        from target_stack.kit.call_context import current_context

        left_s.append(current_context().deadline.remaining_s())
        return "a"

    async def story():
        set_context(CallContext(Deadline.after(0.001, clock), named_tenant="acme"))
        await StaleCache().ask("acme", "sku-1", look_at_the_clock)

    with suppress(TimeoutError):
        asyncio.run(story())
    assert left_s[0] > 1


@pytest.mark.parametrize(
    ("flaws", "answer"),
    [
        (CacheFlaws(), Remembered("a", stale=True)),
        (CacheFlaws(denies_age=True), Remembered("a", stale=False)),
    ],
)
def test_an_old_answer_says_so_unless_its_age_is_denied(flaws, answer):
    cache = StaleCache(flaws=flaws)
    ask(cache, "acme", answering("a"))
    assert ask(cache, "acme", gone) == answer


def test_a_cache_that_forgets_has_nothing_to_tell():
    cache = StaleCache(flaws=CacheFlaws(forgets=True))
    ask(cache, "acme", answering("a"))
    with pytest.raises(DatabaseUnavailableError):
        ask(cache, "acme", gone)
