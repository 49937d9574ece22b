import asyncio

import pytest

from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.stale_cache import Remembered, StaleCache


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


def test_another_tenants_answer_is_no_answer_unless_isolation_is_off():
    cache = StaleCache()
    ask(cache, "acme", answering("a"))
    with pytest.raises(DatabaseUnavailableError):
        ask(cache, "globex", gone)
    shared = StaleCache(is_isolated=False)
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
