"""A harness that is killed or stopped leaves nothing: the promise, against real processes."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.faults.safety.marked import marked_processes
from harness.faults.safety.registry import registered
from tests.faults.support import HANG_GUARD_S, LINK, events_in, wait_until

LIMIT_S = 5.0
LEASE_S = 1.0


@pytest.fixture
def start_victim(tmp_path, proxy):
    started = []

    def start(*, link=LINK, hold_s=600.0):
        run = tmp_path / f"run-{uuid.uuid4().hex}"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", str(run), proxy.api, link, str(LEASE_S), str(hold_s)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == "safe\n"
        return process, run

    yield start
    for process in started:
        process.kill()
        process.communicate()


def journalled(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "undo.jsonl").read_text().splitlines()]


def remains(run: Path, proxy, link=LINK) -> dict:
    """Return everything of a run that still exists."""
    folders = [Path(entry["path"]) for entry in journalled(run) if entry.get("what") == "folder"]
    return {
        "processes": [marked.process.pid for marked in marked_processes(run.name)],
        "folders": [str(folder) for folder in folders if folder.exists()],
        "toxics": proxy.toxics(link),
        "registered": [path.name for path, registration in registered() if registration.run_id == run.name],
    }


NOTHING = {"processes": [], "folders": [], "toxics": [], "registered": []}


def wait_until_nothing_remains(run, proxy, link=LINK):
    give_up = time.monotonic() + LIMIT_S
    while (left := remains(run, proxy, link)) != NOTHING and time.monotonic() < give_up:
        time.sleep(0.05)
    return left


def told(run: Path, kind: str) -> list[dict]:
    return [event for event in events_in(run) if event["kind"] == kind]


def wait_until_all_is_up(run):
    wait_until(lambda: len(told(run, "fault.applied")) == 2, "both faults are applied")
    wait_until(lambda: len(told(run, "process.started")) == 3, "the stack is started")


def in_trials(count, trial):
    """Run `trial(number)` so often, three at a time; return what each left."""
    with ThreadPoolExecutor(3) as threads:
        return list(threads.map(trial, range(count)))


def test_kill_9_at_a_random_moment_leaves_nothing(start_victim, proxy):
    def trial(number):
        proxy.add_link(f"link-{number}")
        process, run = start_victim(link=f"link-{number}")
        time.sleep(random.Random(number).uniform(0, 1.6))
        os.kill(process.pid, signal.SIGKILL)
        return wait_until_nothing_remains(run, proxy, f"link-{number}")

    assert in_trials(10, trial) == [NOTHING] * 10
    assert proxy.process.poll() is None  # it was not ours


def test_kill_9_of_the_whole_process_group_does_not_reach_the_reaper(start_victim, proxy):
    process, run = start_victim()
    wait_until(lambda: len(proxy.toxics()) == 2, "the faults are there")
    os.killpg(process.pid, signal.SIGKILL)
    assert wait_until_nothing_remains(run, proxy) == NOTHING


def test_what_the_reaper_undid_is_told_in_the_recording(start_victim, proxy):
    process, run = start_victim()
    wait_until_all_is_up(run)
    os.kill(process.pid, signal.SIGKILL)
    assert wait_until_nothing_remains(run, proxy) == NOTHING
    events = events_in(run)
    undone = {(e["fault"], e["by"]) for e in events if e["kind"] == "fault.undone"}
    assert undone == {("fault-1", "reaper"), ("fault-2", "reaper")}
    exited = {e["service"] for e in events if e["kind"] == "process.exited"}
    assert {"fault-proxy", "front-db"} <= exited
    assert [e["text"] for e in events if e["kind"] == "note"] == [
        "the harness died: the reaper undoes what it left",
        "all that was written down is undone, by the reaper",
    ]


def test_ports_of_a_killed_run_are_free_again(start_victim, proxy):
    process, run = start_victim()
    wait_until(lambda: "front-db" in str(events_in(run)), "the database started")
    listening = [
        connection.laddr
        for marked in marked_processes(run.name)
        for connection in marked.process.net_connections()
        if connection.status == "LISTEN"
    ]
    os.kill(process.pid, signal.SIGKILL)
    assert wait_until_nothing_remains(run, proxy) == NOTHING
    assert listening
    for address in listening:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(tuple(address))


def test_a_stopped_harness_loses_its_faults_and_keeps_its_stack(start_victim, proxy):
    process, run = start_victim()
    wait_until_all_is_up(run)
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: not proxy.toxics(), "the faults are gone", limit_s=LEASE_S + 1)
    wait_until(lambda: "fault.undone" in str(events_in(run)), "it is told", limit_s=1)
    assert process.poll() is None
    names = {entry["name"]: entry["pid"] for entry in journalled(run) if entry.get("what") == "process"}
    assert {marked.process.pid for marked in marked_processes(run.name)} >= {names["fault-proxy"], names["front-db"]}


def test_a_harness_that_wakes_up_again_says_that_its_faults_were_lifted(start_victim, proxy):
    process, run = start_victim(hold_s=5)
    wait_until_all_is_up(run)
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: not proxy.toxics(), "the faults are gone", limit_s=LEASE_S + 1)
    wait_until(lambda: len(told(run, "fault.undone")) == 2, "it is told")
    os.kill(process.pid, signal.SIGCONT)
    process.communicate(timeout=HANG_GUARD_S)
    assert process.returncode == 0
    assert sorted((e["fault"], e["by"]) for e in told(run, "fault.undone")) == [
        ("fault-1", "reaper"),
        ("fault-2", "reaper"),
    ]
    assert "fault-1 was lifted before its time, by the reaper" in [e["text"] for e in told(run, "note")]
    assert remains(run, proxy) == NOTHING


def test_kill_9_of_a_harness_that_was_stopped_at_a_random_moment_leaves_nothing(start_victim, proxy):
    def trial(number):
        proxy.add_link(f"link-{number}")
        process, run = start_victim(link=f"link-{number}")
        time.sleep(random.Random(number).uniform(0, 0.5))  # perhaps between writing a fault down and placing it
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(LEASE_S * 1.5)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        return wait_until_nothing_remains(run, proxy, f"link-{number}")

    assert in_trials(6, trial) == [NOTHING] * 6


def test_a_harness_that_ends_well_leaves_nothing_and_no_reaper_event(start_victim, proxy):
    process, run = start_victim(hold_s=1)
    process.communicate(timeout=HANG_GUARD_S)
    assert process.returncode == 0
    assert remains(run, proxy) == NOTHING
    assert "reaper" not in json.dumps(events_in(run))
