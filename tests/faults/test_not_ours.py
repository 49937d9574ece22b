"""An undo touches only what the harness itself can have written; the rest is refused and reported."""

import json
import os
import re
import signal
import subprocess
from dataclasses import asdict, replace

import pytest

from harness.faults.kinds.broker_acts import MessagesPublished
from harness.faults.kinds.database_acts import IndexDropped
from harness.faults.kinds.flag_acts import FlagSet
from harness.faults.kinds.kernel_acts import TableMade
from harness.faults.kinds.link_acts import LinkDown, RulePlaced, ToxicPlaced
from harness.faults.kinds.process_acts import HelperStarted, LimitLowered, ProcessesPaused
from harness.faults.safety.acts import FolderMade, ProcessMade, RunMark
from harness.faults.safety.journal import Entry, Journal
from harness.faults.safety.marked import Identity
from harness.faults.safety.recover import recover
from harness.faults.safety.registry import registered
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_all
from harness.model.errors import HarnessError
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard, lives

PROCESS = {"number": 3, "what": "process", "name": "orders", "pid": 4711, "created_s": 1.5, "stop_signal": 15}
LOOPBACK = "127.0.0.1:9"
FLAG = FlagSet("fault-1", "f", "http://127.0.0.1:9/f", "value", "1", "0", "PUT", "http://127.0.0.1:9/f", "{}", "{}")
INDEX = IndexDropped("fault-1", "db", "postgresql://u@127.0.0.1:9/x", "i", "CREATE INDEX i ON t (a)")


def but(act, **changes):
    return replace(act, **changes)


NOT_OURS = [
    *(
        ToxicPlaced("fault-1", api, LINK, "fault-1")
        for api in ("10.0.0.1:80", "example.org:80", "127.0.0.1", ":80", "")
    ),
    ToxicPlaced("fault-1", "127.0.0.1.example.org:80", LINK, "fault-1"),
    ToxicPlaced("fault-1", LOOPBACK, LINK, "somebody-elses"),
    RulePlaced("fault-1", LOOPBACK, LINK, "somebody-elses"),
    LinkDown("fault-1", "8.8.8.8:8474", LINK),
    *(
        TableMade("fault-1", LINK, table)
        for table in ("filter", "harness_", "harness_x", "harness_a_00000000; flush x")
    ),
    TableMade("fault-1", LINK, "harness_a_00000000\n"),
    MessagesPublished("fault-1", "broker", "nats.example.org:4222", "S", "s", "m", 0),
    *(
        but(INDEX, url=url)
        for url in (
            "postgresql://u@db.example.org/x",
            "postgresql://127.0.0.1:5,db.example.org:5/x",
            "postgresql://127.0.0.1:5/x?host=db.example.org",
            "postgresql:///x",
            "file:///etc/passwd",
            "",
        )
    ),
    but(INDEX, remake="DROP TABLE t"),
    but(INDEX, remake=""),
    but(FLAG, write_url="http://example.org/f"),
    but(FLAG, read_url="http://127.0.0.1@example.org/f"),
    but(FLAG, read_url="file:///etc/passwd"),
    but(FLAG, write_headers="[]"),
    but(FLAG, write_headers="{"),
    but(FLAG, before="["),
    *(
        ProcessesPaused("fault-1", "orders", f"processes {processes}")
        for processes in ("", "abc", "1:5.0", "-1:5.0", "0:0", "7:nan")
    ),
    *(ProcessesPaused("fault-1", "orders", unit) for unit in ("", "pods orders-1", "4711:1.0")),
    *(HelperStarted("fault-1", "orders", processes) for processes in ("", "4711", "99999999999999999999:1.0")),
    LimitLowered("fault-1", "orders", "processes 4711:1.0", "stack", 1, "1/1"),
    *(ProcessMade("orders", pid, 1.0, 15) for pid in (0, 1, -1, 2**40)),
    ProcessMade("orders", 4711, 1.0, 999),
    *(FolderMade(path) for path in ("/home/x/harness-data", "harness-data", "/tmp/../home/x/harness-data", "/tmp", "")),
    RunMark("run-d", "7:1.0", "", 0, 0, "/home/x/precious.json"),
    RunMark("run-d", "7:1.0", "", 0, 0, "/etc/passwd"),
    RunMark("run-d", "None", "", 0, 0, ""),
]


@pytest.mark.parametrize("act", NOT_OURS, ids=repr)
def test_what_the_harness_cannot_have_written_is_refused_and_said(act):
    (undone,) = undo_all([Entry(0, act)])
    assert re.search(r"not ours|not name|no process is named|is no signal|are not|nothing here knows", undone.cause)


@pytest.mark.parametrize("act", NOT_OURS[:-3], ids=repr)
def test_what_would_not_be_undone_is_not_done(tmp_path, act):
    safety = Safety(tmp_path, run_id="run-d", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._journal = Journal(safety.journal_path, new=True)
    with pytest.raises(HarnessError, match="must not be done, for its undo would be refused"):
        safety.write(act)
    assert safety.journal_path.read_bytes() == b""
    safety._journal.close()


@pytest.mark.parametrize("link", ["folder", "parent"])
def test_a_folder_behind_a_link_is_not_removed(tmp_path, link):
    precious = tmp_path / "precious"
    (precious / "harness-data-1").mkdir(parents=True)
    named = tmp_path / "harness-data-2"
    if link == "folder":
        named.symlink_to(precious)
    else:
        (tmp_path / "way").symlink_to(precious)
        named = tmp_path / "way" / "harness-data-1"
    (undone,) = undo_all([Entry(0, FolderMade(str(named)))])
    assert undone.cause == f"{named} is not ours: the path goes through a symbolic link"
    assert (precious / "harness-data-1").exists()


@pytest.mark.parametrize("content", ['{"run_id": "another"}', "[1]", "not a registration"])
def test_a_record_of_something_else_is_not_removed(tmp_path, content):
    record = tmp_path / "record.json"
    record.write_text(content)
    (undone,) = undo_all([Entry(0, RunMark("run-d", "7:1.0", "", 0, 0, str(record)))])
    assert f"{record} is not ours" in undone.cause
    assert record.exists()


def test_a_process_that_took_the_number_of_another_is_not_touched_and_said(dead_run):
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        began_s = Identity.of(sleeper.pid).created_s
        dead_run(json.dumps({**PROCESS, "pid": sleeper.pid, "created_s": began_s - 60}))
        report = recover()
        (undone,) = report.undone
        assert f"another process has the number {sleeper.pid} now, and was not touched" in undone
        assert lives(sleeper.pid)
    finally:
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()


def test_one_undo_that_crashes_does_not_stop_the_others(tmp_path, monkeypatch):
    folder = tmp_path / "harness-data-1"
    folder.mkdir()
    monkeypatch.setattr(LinkDown, "heal", lambda *_: 1 / 0)
    done = list(undo_all([Entry(1, LinkDown("fault-1", LOOPBACK, LINK)), Entry(0, FolderMade(str(folder)))]))
    assert {undone.entry.number: undone.cause for undone in done} == {
        0: "",
        1: "its undo failed: ZeroDivisionError: division by zero",
    }
    assert not folder.exists()


def test_a_name_that_no_file_can_have_does_not_stop_the_others(tmp_path):
    folder = tmp_path / "harness-data-1"
    folder.mkdir()
    endless = FolderMade("/tmp/harness-" + "x" * 5_000)
    done = list(undo_all([Entry(1, endless), Entry(0, FolderMade(str(folder)))]))
    assert {undone.entry.number: undone.confirmed for undone in done} == {0: True, 1: False}
    assert not folder.exists()


def test_a_journal_that_names_a_run_which_lives_ends_none_of_its_processes(dead_run):
    harness = subprocess.Popen(["sleep", "60"])
    owner = str(Identity.of(harness.pid))
    member = subprocess.Popen(["sleep", "60"], env={**os.environ, "HARNESS_RUN": "run-l", "HARNESS_OWNER": owner})
    try:
        mark = RunMark("run-l", owner, "", 0, 0, "")
        (undone,) = undo_all([Entry(0, mark)])
        assert undone.cause == f"run run-l is not ours: its harness (pid {harness.pid}) is alive"
        process = {**PROCESS, "pid": member.pid, "created_s": Identity.of(member.pid).created_s}
        path = dead_run(json.dumps({"number": 0, "what": "run", **asdict(mark)}), json.dumps(process))
        assert recover().failed == [f"run-d: its journal {path} names another run: run run-l"]
        assert len(list(registered())) == 1
        assert lives(member.pid)
    finally:
        for process in (harness, member):
            process.kill()
            process.wait()
