"""`harness abort` from another terminal: faults are gone, whatever state the harness is in."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid

import pytest

from harness.faults.kinds.link_acts import LinkDown
from harness.faults.safety.abort import Ending, abort, abortable
from harness.faults.safety.acts import FaultAct
from harness.faults.safety.journal import Journal, outstanding
from harness.faults.safety.registry import Registered, register
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.run.clock import SteadyClock
from tests.faults.support import HANG_GUARD_S, LINK, Heard, events_in, lives, wait_until

LATENCY = {"link": LINK, "latency": "50ms"}


@pytest.fixture
def start_holder(tmp_path, proxy):
    """Start something that holds a fault, wait until it is in place; return its process and its run."""
    started = []

    def start(*options, fault=LATENCY, lease_s=30):
        run = tmp_path / f"run-{uuid.uuid4().hex}"
        where = json.dumps({"api": proxy.api})
        command = [sys.executable, "-m", "tests.faults.holder", str(run), json.dumps(fault), where, str(lease_s), "600"]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert [process.stdout.readline() for _ in range(2)] == ["safe\n", "applied\n"]
        return process, run

    yield start
    for process in started:
        process.kill()
        process.communicate()


def aborted(**options):
    """Abort every run of this test's registry; return what became of each, without the texts."""
    return [(one.ending, len(one.gone), one.left) for one in abort(abortable(), **options)]


def told(run, kind):
    return [event for event in events_in(run) if event["kind"] == kind]


def test_a_live_run_loses_its_fault_and_ends(start_holder, proxy):
    process, run = start_holder()
    ((ending, _, left),) = aborted()  # who of the two took it back first is left to chance
    assert (ending, left) == (Ending.ENDED, ())
    assert proxy.toxics() == []
    process.communicate(timeout=HANG_GUARD_S)
    assert process.returncode in (0, -signal.SIGTERM)  # a second signal may find it with nothing left to undo
    assert outstanding(run / "undo.jsonl") == []


def test_it_can_be_repeated(start_holder):
    start_holder()
    aborted()
    wait_until(lambda: abortable() == [], "nothing is live")
    assert aborted() == []


def test_a_stopped_harness_is_aborted_through_its_journal(start_holder, proxy):
    process, run = start_holder()
    os.kill(process.pid, signal.SIGSTOP)
    ((ending, _, left),) = aborted()
    assert (ending, left) == (Ending.ENDED, ())
    assert proxy.toxics() == []
    process.communicate(timeout=HANG_GUARD_S)
    assert outstanding(run / "undo.jsonl") == []


def test_a_harness_that_does_not_react_is_killed_and_its_reaper_clears_up(start_holder, proxy):
    process, run = start_holder("deaf")
    assert aborted() == [(Ending.KILLED, 1, ())]
    assert proxy.toxics() == []
    process.communicate(timeout=HANG_GUARD_S)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not outstanding(run / "undo.jsonl"), "the reaper is done")


def test_keep_running_lifts_the_fault_and_leaves_the_run_alone(start_holder, proxy):
    process, run = start_holder()
    assert aborted(keep_running=True) == [(Ending.GOES_ON, 1, ())]
    assert (proxy.toxics(), lives(process.pid)) == ([], True)
    assert [(event["fault"], event["by"]) for event in told(run, "fault.undone")] == [("fault-1", "abort")]
    assert [entry.lifted_by for entry in outstanding(run / "undo.jsonl") if entry.lifted] == ["abort"]


def test_a_dead_run_that_left_a_fault_is_cleaned_and_others_are_not_listed(tmp_path, proxy):
    proxy.calls._call("POST", f"/proxies/{LINK.replace(' ', '%20')}/toxics", {"type": "latency", "name": "fault-1"})
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in ("left", "clean"):
        journal = tmp_path / f"{name}.jsonl"
        if name == "left":
            act = {
                "number": 0,
                "what": "toxic",
                "fault": "fault-1",
                "api": proxy.api,
                "proxy": LINK,
                "toxic": "fault-1",
            }
            journal.write_text(json.dumps(act) + "\n")
        register(Registered(name, str(tmp_path), str(journal), harness=f"{dead.pid}:1.0", reaper=""))
    assert [run.run_id for run in abortable()] == ["left"]
    assert aborted() == [(Ending.WAS_DEAD, 1, ())]
    assert proxy.toxics() == []


def test_what_cannot_be_undone_is_told(start_holder, proxy):
    start_holder()
    os.kill(proxy.process.pid, signal.SIGSTOP)
    ((_, gone, left),) = aborted(keep_running=True)
    assert gone == 0
    assert "timed out" in left[0]


def test_a_run_is_named_by_its_id_a_part_of_it_or_its_folder(start_holder):
    _, run = start_holder()
    for name in (run.name, run.name[4:12], str(run)):
        assert [found.run_id for found in abortable(name)] == [run.name]
    assert abortable("nothing-like-it") == []


def test_no_fault_is_placed_after_a_halt(tmp_path):
    safety = Safety(tmp_path, run_id="halted", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    journal = Journal(safety.journal_path)
    journal.mark_halted()
    journal.close()
    with pytest.raises(HarnessError, match="fault-1 is not placed: `harness abort` was called"):
        safety.write(LinkDown("fault-1", "127.0.0.1:1", LINK))
    assert [entry.act for entry in outstanding(safety.journal_path) if isinstance(entry.act, FaultAct)] == []
    folder = tmp_path / "harness-folder"
    safety.folder(folder)  # everything else goes on: the run may
    asyncio.run(safety.dismiss())
