"""A stack that is held for runs: it fits or is refused, is looked at first, and outlives them."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Setting
from harness.drivers.standing.lock import is_in_use, take
from harness.drivers.standing.stack import StandingStack
from harness.faults.kinds.link_acts import LinkDown
from harness.faults.safety.journal import Journal
from harness.faults.safety.registry import Registered, register
from harness.model.errors import ExitCode, TargetError, UsageError
from harness.model.run.clock import SteadyClock
from harness.runner.interruption import Interruption
from harness.runner.planning import make_plan
from harness.workflows.standing import check_fits, find_stack, stand
from harness.workflows.trial import run_and_judge
from tests.drivers.support import Remembering
from tests.faults.support import wait_until
from tests.workflows.tiny import write_tiny


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a plan on two small programs, with options; no test sees the runs of this user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    scenario = write_tiny(tmp_path)
    return lambda *without: make_plan(str(scenario), target=None, seed=7, quick=False, without=without)


@pytest.fixture
def held(plan, tmp_path):
    """Run `act(stack)` beside a stack that is up; return what it returns."""

    def run(act):
        async def go():
            interruption, is_ready = Interruption(), asyncio.Event()
            holding = asyncio.create_task(
                stand(
                    plan().target,
                    runs=tmp_path / "runs",
                    otlp=None,
                    without=[],
                    listen=lambda _: None,
                    ready=lambda _: is_ready.set(),
                    interruption=interruption,
                )
            )
            waiting = asyncio.create_task(is_ready.wait())
            await asyncio.wait([holding, waiting], timeout=60, return_when=asyncio.FIRST_COMPLETED)
            try:
                assert is_ready.is_set(), holding
                return await act(find_stack("up"))
            finally:
                interruption.receive("SIGTERM", holding)
                await holding

        return asyncio.run(go())

    return run


def using(stack, tmp_path):
    """Return the driver of a run on *stack*."""
    setting = Setting(run=tmp_path, run_id="r", seed=1, emit=lambda _: None, clock=SteadyClock(), guard=Remembering())
    return driver_for(stack.target, setting, on=stack)


def test_a_run_uses_the_stack_and_leaves_it_as_it_was(held, plan, tmp_path):
    async def act(stack):
        check_fits(plan(), stack)
        trial = await run_and_judge(plan(), runs=tmp_path / "runs", on=stack)
        return trial, stack.pids, find_stack(stack.run_id).pids

    trial, before, after = held(act)
    assert trial.error is None
    assert trial.exit_code in (ExitCode.HELD, ExitCode.UNKNOWN), trial.verdict.summary  # a busy machine decides nothing
    assert after == before


def test_a_stack_that_is_not_up_is_not_found(plan):
    with pytest.raises(UsageError, match="--on nowhere: no stack is up under that name"):
        find_stack("nowhere")


def test_other_protections_another_target_and_a_second_run_are_refused(held, plan, tmp_path):
    async def act(stack):
        with pytest.raises(UsageError, match="runs with all protections, this run asks for without fallback"):
            check_fits(plan("fallback"), stack)
        another = plan().model_copy(update={"target": stack.target.model_copy(update={"description": "another"})})
        with pytest.raises(UsageError, match="does not run the target of this scenario"):
            check_fits(another, stack)
        lock = take(stack.path)
        with pytest.raises(UsageError, match="another run uses the stack"):
            check_fits(plan(), stack)
        with pytest.raises(UsageError, match="another run uses the stack"):
            await using(stack, tmp_path).start()
        os.close(lock)
        return is_in_use(stack.path)

    assert held(act) is False


def test_a_fault_that_a_dead_run_may_have_left_is_refused(held, plan, tmp_path):
    async def act(stack):
        (tmp_path / "dead").mkdir()
        journal = Journal(tmp_path / "dead" / "undo.jsonl")
        journal.write(LinkDown("fault-1", "127.0.0.1:1", "front -> back"))
        journal.close()
        register(Registered("dead-run", str(tmp_path / "dead"), str(journal.path), harness="4999999:1.00", reaper=""))
        with pytest.raises(UsageError, match="faults of a run that is dead may still be in place: dead-run"):
            check_fits(plan(), stack)

    held(act)


def test_a_fault_that_is_left_in_the_stack_is_named_before_anything_happens(held, tmp_path):
    async def act(stack):
        driver = using(stack, tmp_path)
        unit = await asyncio.to_thread(driver.unit_of, "back")
        unit.pause()
        await asyncio.to_thread(wait_until, unit.paused, "it is paused")
        try:
            with pytest.raises(TargetError, match=r"not free of faults: back is paused \(processes \d+\)"):
                await driver.start()
        finally:
            unit.resume()
            await driver.stop()
        await driver.start()
        await driver.stop()

    held(act)


def test_a_service_that_is_away_is_not_a_steady_state(held, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.drivers.standing.steady._READY_LIMIT_S", 0.3)

    async def act(stack):
        elsewhere = stack.model_copy(update={"ports": {**stack.ports, "back": 1}})
        with pytest.raises(TargetError, match="is not in its steady state: back: "):
            await using(elsewhere, tmp_path).start()

    held(act)


def test_what_a_dead_run_killed_is_revived_by_the_holder(held, tmp_path):
    async def act(stack):
        driver = using(stack, tmp_path)
        await driver.start()
        unit = await asyncio.to_thread(driver.unit_of, "back")
        await asyncio.to_thread(driver.expect_death, "back")
        unit.kill()
        await driver.stop()  # the run ends without having revived it
        for _ in range(200):
            if find_stack(stack.run_id).pids["back"] != stack.pids["back"]:
                return True
            await asyncio.sleep(0.1)
        return False

    assert held(act)


def test_only_its_user_can_read_what_a_stack_tells(held):
    async def act(stack):
        return (stack.path / "stack.json").stat().st_mode & 0o777, Path(stack.control).parent.stat().st_mode

    mode, folder = held(act)
    assert mode == 0o600
    assert folder & 0o777 == 0o700


def test_what_another_version_wrote_is_refused(held, tmp_path):
    async def act(stack):
        newer = stack.model_dump(mode="json") | {"version": 2}
        (stack.path / "stack.json").write_text(json.dumps(newer))
        with pytest.raises(UsageError, match="written by another version"):
            find_stack("up")
        stack.write()
        return isinstance(find_stack("up"), StandingStack)

    assert held(act)
