"""However a run ends, nothing outlives it by more than five seconds, and what it recorded can be judged."""

import json
import os
import signal

import pytest

from tests.end_to_end.running import processes_of, run_harness, wait_for_event, wait_until_nothing_is_left

pytestmark = pytest.mark.end_to_end
QUICK = ("run", "payment-provider-hang", "--quick")


def judged_status(run, cwd):
    run_harness("check", str(run), cwd=cwd)
    return json.loads((run / "verdict.json").read_text())["status"]


@pytest.mark.parametrize("phase", ["warmup", "baseline", "fault", "recovery"])
def test_kill_9_in_any_phase_leaves_nothing(phase, start_harness, tmp_path):
    harness = start_harness(*QUICK)
    run = wait_for_event(tmp_path, "phase.started", phase=phase)
    os.kill(harness.pid, signal.SIGKILL)
    assert wait_until_nothing_is_left(run.name, within_s=5) == []
    assert judged_status(run, tmp_path) == "unknown"


def test_kill_9_while_the_stack_starts_leaves_nothing(start_harness, tmp_path):
    harness = start_harness(*QUICK)
    run = wait_for_event(tmp_path, "process.started")
    os.kill(harness.pid, signal.SIGKILL)
    assert wait_until_nothing_is_left(run.name, within_s=5) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_rolls_back_and_exits_130(number, start_harness, tmp_path):
    harness = start_harness(*QUICK)
    run = wait_for_event(tmp_path, "fault.applied")
    harness.send_signal(number)
    out, err = harness.communicate(timeout=60)
    assert harness.returncode == 130, err + out
    kinds = [json.loads(line)["kind"] for line in (run / "events.jsonl").read_text().splitlines()]
    assert "fault.undone" in kinds
    assert processes_of(run.name) == []
    assert judged_status(run, tmp_path) == "unknown"


def test_a_second_ctrl_c_hurries_and_still_undoes(start_harness, tmp_path):
    harness = start_harness(*QUICK)
    run = wait_for_event(tmp_path, "fault.applied")
    harness.send_signal(signal.SIGINT)
    harness.send_signal(signal.SIGINT)
    out, err = harness.communicate(timeout=60)
    assert harness.returncode == 130, err + out
    assert "fault.undone" in (run / "events.jsonl").read_text()
    assert processes_of(run.name) == []


@pytest.mark.parametrize("victim", ["catalog", "load"])
def test_a_process_that_dies_ends_the_run_with_exit_3_and_its_name(victim, start_harness, tmp_path):
    harness = start_harness(*QUICK)
    run = wait_for_event(tmp_path, "phase.started", phase="baseline")
    process = next(
        p
        for p in processes_of(run.name)
        if ("services.catalog" if victim == "catalog" else "harness.load") in " ".join(p.cmdline())
    )
    process.kill()
    out, err = harness.communicate(timeout=60)
    assert harness.returncode == 3, err + out
    assert victim in err
    assert "next:" in err
    assert processes_of(run.name) == []
    assert judged_status(run, tmp_path) == "unknown"


def test_runs_side_by_side_do_not_disturb_each_other(start_harness, tmp_path):
    first = start_harness(*QUICK, "--runs", "a")
    second = start_harness(*QUICK, "--runs", "b")
    codes = [process.communicate(timeout=120) and process.returncode for process in (first, second)]
    assert set(codes) <= {0, 1, 2}  # two loads on one machine may be too much for the claim, never for the harness
    for folder in "ab":
        run = next((tmp_path / folder).iterdir())
        assert processes_of(run.name) == []
