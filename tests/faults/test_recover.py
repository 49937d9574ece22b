"""`harness recover` cleans up when harness and reaper are both gone, and touches nothing that lives."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from harness.faults.safety.marked import Identity, marker
from harness.faults.safety.recover import leftovers, recover
from harness.faults.safety.registry import registered
from tests.faults.support import events_in, lives, wait_until

VICTIM = """
import asyncio, sys
from pathlib import Path
from harness.faults.safety.safety import Safety
from harness.model.run.clock import SteadyClock
from harness.recording.event_log import EventLog

async def main():
    run = Path(sys.argv[1])
    log = EventLog(run)
    safety = Safety(run, run_id=run.name, lease_s=60, emit=log.append, clock=SteadyClock())
    await safety.start()
    folder = run / "harness-data-1"
    folder.mkdir()
    safety.folder(folder)
    child = await asyncio.create_subprocess_exec("sleep", "600", env=dict(safety.marker), start_new_session=True)
    safety.process(child.pid, "orders")
    unknown = await asyncio.create_subprocess_exec("sleep", "600", env=dict(safety.marker), start_new_session=True)
    print(child.pid, unknown.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def victim(tmp_path):
    """A run with two processes and a folder; killed at the end, whatever the test does."""
    run = tmp_path / f"run-{os.getpid()}-{tmp_path.name}"
    run.mkdir()
    harness = subprocess.Popen([sys.executable, "-c", VICTIM, str(run)], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in harness.stdout.readline().split()]
    yield harness, run, pids
    harness.kill()
    harness.communicate()
    recover()


def kill_with_its_reaper(harness):
    ((_, run),) = registered()
    os.kill(Identity.parse(run.reaper).pid, signal.SIGSTOP)  # so that it does not do its work first
    harness.kill()
    harness.wait()
    os.kill(Identity.parse(run.reaper).pid, signal.SIGKILL)
    wait_until(lambda: not run.reaper_lives, "the reaper is gone")


def test_what_a_dead_run_left_is_found_undone_and_told(victim):
    harness, run, pids = victim
    kill_with_its_reaper(harness)
    assert len(leftovers()) == 3
    report = recover()
    told = {f"{run.name}: process {pids[0]} (orders)", f"{run.name}: folder {run / 'harness-data-1'}"}
    assert told <= set(report.found)
    assert told <= set(report.undone)
    assert (report.live, report.failed, report.clean) == ([], [], True)
    assert [lives(pid) for pid in pids] == [False, False]
    assert not (run / "harness-data-1").exists()
    assert [event["kind"] for event in events_in(run)] == ["process.exited", "note"]


def test_a_second_time_there_is_nothing(victim):
    kill_with_its_reaper(victim[0])
    recover()
    again = recover()
    assert (again.live, again.found, again.undone, again.failed) == ([], [], [], [])
    assert leftovers() == []
    assert list(registered()) == []


def test_a_live_run_is_left_alone_and_listed(victim):
    harness, run, pids = victim
    report = recover()
    assert report.live == [f"{run.name} (pid {harness.pid})"]
    assert report.found == []
    assert [lives(pid) for pid in pids] == [True, True]
    assert leftovers() == []


def test_force_ends_a_live_run_too(victim):
    harness, _, pids = victim
    report = recover(force=True)
    assert report.clean
    assert [lives(pid) for pid in (harness.pid, *pids)] == [False, False, False]


def test_an_orphan_that_no_journal_knows_is_ended(victim, own_registry):
    harness, run, pids = victim
    kill_with_its_reaper(harness)
    for path, _ in registered():
        path.unlink()  # and the registration is lost as well
    report = recover()
    assert sorted(report.undone) == sorted(f"{run.name}: orphaned process {pid}" for pid in pids)
    assert [lives(pid) for pid in pids] == [False, False]


@pytest.mark.parametrize("owner", [Identity(os.getpid(), psutil.Process().create_time()), None])
def test_a_process_of_a_harness_that_lives_or_of_none_is_no_orphan(owner):
    environment = marker("elsewhere", owner) if owner else {"HARNESS_RUN": "elsewhere"}
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, **environment})
    try:
        wait_until(lambda: "sleep" in psutil.Process(process.pid).name(), "it runs")
        assert leftovers() == []
        assert recover().found == []
        assert lives(process.pid)
    finally:
        process.kill()
        process.wait()


def test_what_cannot_be_undone_is_said_and_kept(victim):
    harness, run, _ = victim
    with (run / "undo.jsonl").open("a") as journal:
        journal.write(json.dumps({"number": 77, "what": "folder", "path": str(run)}) + "\n")
    kill_with_its_reaper(harness)
    report = recover()
    assert report.failed == [f"{run.name}: {run} is not ours: its name does not start with 'harness-'"]
    assert not report.clean
    assert len(list(registered())) == 1
