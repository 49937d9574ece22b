"""The reaper as a process: what it does on dismissal, on death, on silence, and what it ignores."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.faults.kinds.link_acts import ToxicPlaced
from harness.faults.safety.acts import FolderMade, RunMark
from harness.faults.safety.journal import Journal, outstanding
from tests.faults.support import HANG_GUARD_S, LINK, events_in, lives, wait_until


@pytest.fixture
def journal(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    journal = Journal(tmp_path / "undo.jsonl")
    journal.write(RunMark("run-r", "1:1.00", str(tmp_path), 0, 0, str(tmp_path / "record.json")))
    yield journal
    journal.close()


@pytest.fixture
def start_reaper(journal):
    started = []

    def start(lease_s=60.0):
        command = [sys.executable, "-m", "harness.faults.safety.reaper"]
        process = subprocess.Popen(
            [*command, "--journal", str(journal.path), "--lease-s", str(lease_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def folder(journal, tmp_path):
    folder = tmp_path / "harness-data-1"
    folder.mkdir()
    journal.write(FolderMade(str(folder)))
    return folder


@pytest.fixture
def fault(journal, proxy):
    body = {"name": "fault-1", "type": "latency", "attributes": {"latency": 1}}
    journal.write(ToxicPlaced("fault-1", proxy.api, LINK, "fault-1"))
    proxy.calls._call("POST", f"/proxies/{LINK.replace(' ', '%20')}/toxics", body)
    return proxy


def test_the_end_of_its_input_means_that_the_harness_died(start_reaper, journal, folder, fault, tmp_path):
    reaper = start_reaper()
    reaper.stdin.close()
    assert reaper.wait(HANG_GUARD_S) == 0
    assert fault.toxics() == []
    assert not folder.exists()
    assert outstanding(journal.path) == []
    assert not (tmp_path / "record.json").exists()
    assert [event["kind"] for event in events_in(tmp_path)] == ["note", "fault.undone", "note"]


def test_a_dismissal_is_silent_when_all_is_undone_already(start_reaper, journal, tmp_path):
    reaper = start_reaper()
    reaper.stdin.write(b"beat\ndismiss\n")
    reaper.stdin.flush()
    assert reaper.wait(HANG_GUARD_S) == 0
    assert events_in(tmp_path) == []


def test_a_dismissal_undoes_what_is_left(start_reaper, folder):
    reaper = start_reaper()
    reaper.stdin.write(b"dismiss\n")
    reaper.stdin.flush()
    assert reaper.wait(HANG_GUARD_S) == 0
    assert not folder.exists()


def test_what_cannot_be_undone_is_its_exit_code_and_stays_in_the_journal(start_reaper, journal, tmp_path):
    number = journal.write(FolderMade(str(tmp_path)))
    reaper = start_reaper()
    reaper.stdin.close()
    assert reaper.wait(HANG_GUARD_S) == 5
    assert [entry.number for entry in outstanding(journal.path)] == [number, 0]
    assert (tmp_path / "record.json").exists()
    assert "left behind" in json.dumps(events_in(tmp_path))


def test_silence_lifts_the_faults_and_nothing_else(start_reaper, journal, folder, fault, tmp_path):
    reaper = start_reaper(lease_s=0.3)
    wait_until(lambda: fault.toxics() == [], "the fault is lifted")
    wait_until(lambda: any(entry.lifted for entry in outstanding(journal.path)), "it is written down")
    assert folder.exists()
    assert reaper.poll() is None
    assert [event["kind"] for event in events_in(tmp_path)] == ["note", "fault.undone"]


def test_a_fault_that_comes_back_during_the_silence_is_lifted_again(start_reaper, journal, fault):
    start_reaper(lease_s=0.2)
    wait_until(lambda: any(entry.lifted for entry in outstanding(journal.path)), "it is lifted")
    body = {"name": "fault-1", "type": "latency", "attributes": {"latency": 1}}
    fault.calls._call("POST", f"/proxies/{LINK.replace(' ', '%20')}/toxics", body)
    wait_until(lambda: fault.toxics() == [], "it is lifted again")


def test_a_heartbeat_keeps_the_faults(start_reaper, fault):
    reaper = start_reaper(lease_s=1.0)
    for _ in range(30):
        reaper.stdin.write(b"beat\n")
        reaper.stdin.flush()
        time.sleep(0.05)
    assert fault.toxics() == ["fault-1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_of_a_terminal_do_not_end_it(start_reaper, number):
    reaper = start_reaper()
    reaper.send_signal(number)
    reaper.stdin.write(b"dismiss\n")
    reaper.stdin.flush()
    assert reaper.wait(HANG_GUARD_S) == 0


def test_it_lives_in_a_session_of_its_own_and_imports_little(start_reaper):
    reaper = start_reaper()
    assert os.getsid(reaper.pid) == reaper.pid
    heavy = "{'pydantic', 'pyarrow', 'requests', 'asyncio'}"
    code = f"import sys, harness.faults.safety.reaper; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    assert lives(reaper.pid)
