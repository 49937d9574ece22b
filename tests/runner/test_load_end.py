"""A generator that has ended as planned is no death, however long the run still takes."""

import asyncio

import pytest

from harness.model.errors import HarnessError
from harness.model.run.clock import NS_PER_S
from harness.runner.load_end import drain, until_load_dies
from tests.recordings import small_plan

PLANNED_END_S = 20


class Ended:
    """A load that has ended."""

    def __init__(self, code):
        self._code = code

    async def wait(self):
        return self._code


class At:
    """A clock that stands."""

    def __init__(self, seconds):
        self._seconds = seconds

    def now_ns(self):
        return int(self._seconds * NS_PER_S)


def watched(code, at_s):
    ended = until_load_dies(Ended(code), planned_end_ns=PLANNED_END_S * NS_PER_S, clock=At(at_s))
    return asyncio.run(asyncio.wait_for(ended, 5))


@pytest.mark.parametrize("at_s", [20, 20.1, 300])
def test_exit_0_at_or_after_the_planned_end_is_normal(at_s):
    assert watched(0, at_s) is None


@pytest.mark.parametrize("at_s", [0, 10, 19.9])
def test_exit_0_before_the_planned_end_is_a_death(at_s):
    with pytest.raises(HarnessError, match=r"the load generator ended early \(exit code 0\)"):
        watched(0, at_s)


@pytest.mark.parametrize("code", [1, 2, 3, -9, -15, 143])
@pytest.mark.parametrize("at_s", [5, 20, 300])
def test_any_other_code_is_a_death_at_any_time(code, at_s):
    with pytest.raises(HarnessError, match=rf"ended (early|badly) \(exit code {code}\)"):
        watched(code, at_s)


def test_draining_accepts_exit_0_only():
    assert asyncio.run(drain(Ended(0), small_plan())) is None
    with pytest.raises(HarnessError, match=r"the load generator failed \(exit code 3\)"):
        asyncio.run(drain(Ended(3), small_plan()))
