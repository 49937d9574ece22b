"""Whatever ends a run, its recording is closed and says so."""

import asyncio

import pytest

from harness.model.errors import HarnessError, UnforeseenError
from harness.model.result.finding import How
from harness.recording.manifest import read_manifest
from harness.runner import engine
from harness.runner.interruption import Interruption
from tests.recordings import small_plan


@pytest.fixture
def run_with(monkeypatch, tmp_path):
    """Return (run a plan whose stack does what the test says, the manifest that it left)."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(driver_for, **options):
        monkeypatch.setattr(engine, "driver_for", driver_for)
        return asyncio.run(engine.run_plan(small_plan(), runs=tmp_path / "runs", command=["test"], **options))

    def manifest():
        (folder,) = (tmp_path / "runs").iterdir()
        return read_manifest(folder)

    return run, manifest


def test_an_error_that_is_foreseen_is_returned_and_recorded(run_with):
    run, manifest = run_with

    def no_stack(*_, **__):
        raise HarnessError("no such stack")

    ran = run(no_stack)
    assert (ran.how, str(ran.error)) == (How.FAILED, "no such stack")
    assert (manifest().how, manifest().cause) == (How.FAILED, "no such stack")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("x"), AssertionError()])
def test_an_exception_that_nobody_foresaw_closes_the_recording_as_failed(run_with, error):
    run, manifest = run_with

    def bug(*_, **__):
        raise error

    ran = run(bug)
    assert isinstance(ran.error, UnforeseenError)
    assert (manifest().how, manifest().cause) == (How.FAILED, str(ran.error))
    assert type(error).__name__ in str(ran.error)
    assert len(list(ran.path.glob("traceback-*.txt"))) == 1


def test_a_cancellation_closes_the_recording_as_interrupted_and_goes_on(run_with):
    run, manifest = run_with

    def cancelled(*_, **__):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancelled)
    assert manifest().how is How.INTERRUPTED


def test_an_interruption_ends_the_run_as_interrupted(run_with):
    run, manifest = run_with
    interruption = Interruption()

    def interrupted(*_, **__):
        interruption.receive("SIGTERM", asyncio.current_task())
        raise asyncio.CancelledError

    ran = run(interrupted, interruption=interruption)
    assert (ran.how, ran.error) == (How.INTERRUPTED, None)
    assert manifest().cause == "SIGTERM"
