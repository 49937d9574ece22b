"""A run and its judgement as a function: from a thread, from somebody's loop, cancelled."""

import asyncio
import threading
from pathlib import Path

import pytest

from harness.model.errors import ExitCode, HarnessError, RollbackError
from harness.model.result.finding import How, Status, Verdict
from harness.runner.planning import make_plan
from harness.workflows import trial as trial_module
from harness.workflows.judgement import Judged
from harness.workflows.trial import Trial, run_and_judge, run_trial
from tests.workflows.tiny import write_tiny


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a plan on two small programs, with options; no test sees the runs of this user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    scenario = write_tiny(tmp_path)
    return lambda *without: make_plan(str(scenario), target=None, seed=7, quick=False, without=without)


def test_a_claim_is_run_and_judged_from_a_thread(plan, tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(run_trial(plan(), runs=tmp_path / "runs")))
    thread.start()
    thread.join(120)
    (trial,) = found
    assert trial.error is None
    assert trial.exit_code in (ExitCode.HELD, ExitCode.UNKNOWN), trial.verdict.summary  # a busy machine decides nothing
    assert (trial.run / "verdict.json").is_file()
    assert trial.judged.report.is_file()


def test_without_its_protection_the_claim_does_not_hold_within_somebodys_loop(plan, tmp_path):
    async def somebodys():
        return run_trial(plan("fallback"), runs=tmp_path / "runs")

    trial = asyncio.run(somebodys())
    assert not trial.held
    assert trial.exit_code in (ExitCode.BROKEN, ExitCode.UNKNOWN), trial.verdict.summary


def test_cancelling_in_somebodys_loop_rolls_back_and_closes_the_recording(plan, tmp_path):
    async def cancelled():
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(
            run_and_judge(
                plan(),
                runs=tmp_path / "runs",
                listeners=[lambda event: loop.call_soon_threadsafe(begun.set) if "stack" in event.kind.value else None],
            )
        )
        await asyncio.wait_for(begun.wait(), 60)
        running.cancel()
        await asyncio.wait([running])
        return running.cancelled()

    assert asyncio.run(cancelled())
    (run,) = (tmp_path / "runs").iterdir()
    assert trial_module.judge_and_draw(run).verdict.how is How.INTERRUPTED


def trial_of(status=Status.PASS, *, error=None, rollback=True):
    verdict = Verdict(status, None, "", (), rollback_confirmed=rollback, how=How.FAILED if error else How.COMPLETED)
    return Trial(Path("run"), Judged(None, verdict, Path("report.html")), error)


@pytest.mark.parametrize(
    ("trial", "code"),
    [
        (trial_of(), ExitCode.HELD),
        (trial_of(Status.FAIL), ExitCode.BROKEN),
        (trial_of(Status.UNKNOWN), ExitCode.UNKNOWN),
        (trial_of(error=HarnessError("no stack")), ExitCode.COULD_NOT_RUN),
        (trial_of(error=HarnessError("no stack"), rollback=False), ExitCode.NOT_ROLLED_BACK),
        (trial_of(error=RollbackError("still there")), ExitCode.NOT_ROLLED_BACK),
    ],
)
def test_an_error_is_not_hidden_by_a_verdict_and_a_rollback_outweighs_all(trial, code):
    assert trial.exit_code is code
    assert trial.held is (code is ExitCode.HELD)
