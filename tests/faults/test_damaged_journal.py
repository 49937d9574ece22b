"""A journal that was damaged, or that somebody else wrote: nothing is forgotten, and nothing of others is touched."""

import json
import os
import re
import signal
import subprocess
from dataclasses import asdict, dataclass
from typing import ClassVar

import pytest

from harness.cli.main import main
from harness.faults.kinds.broker_acts import MessagesPublished
from harness.faults.kinds.database_acts import IndexDropped
from harness.faults.kinds.flag_acts import FlagSet
from harness.faults.kinds.kernel_acts import TableMade
from harness.faults.kinds.link_acts import LinkDown, RulePlaced, ToxicPlaced
from harness.faults.kinds.process_acts import HelperStarted, LimitLowered, ProcessesPaused
from harness.faults.safety.acts import FaultAct, FolderMade, ProcessMade, RunMark, Unreadable
from harness.faults.safety.journal import Entry, Journal, UnregisteredActError, outstanding
from harness.faults.safety.marked import Identity
from harness.faults.safety.recover import recover
from harness.faults.safety.registry import Registered, register, registered, state_folder
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_all
from harness.model.errors import HarnessError
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard, lives

TOXIC = {"number": 3, "what": "toxic", "fault": "fault-1", "api": "127.0.0.1:1", "proxy": LINK, "toxic": "fault-1"}
PROCESS = {"number": 3, "what": "process", "name": "orders", "pid": 4711, "created_s": 1.5, "stop_signal": 15}
UNREADABLE = {
    "a newer version": json.dumps({**TOXIC, "version": 2}),
    "a version that is text": json.dumps({**TOXIC, "version": "1"}),
    "an unknown act": json.dumps({"number": 1, "what": "magic"}),
    "an act that is no text": json.dumps({"number": 1, "what": ["toxic"]}),
    "a missing field": json.dumps({key: value for key, value in TOXIC.items() if key != "toxic"}),
    "a field too many": json.dumps({**TOXIC, "force": True}),
    "no number": '{"what": "folder", "path": "x"}',
    "a number that is text": json.dumps({**TOXIC, "number": "3"}),
    "a number that is true": json.dumps({**TOXIC, "number": True}),
    "a negative number": json.dumps({**TOXIC, "number": -3}),
    "a pid that is text": json.dumps({**PROCESS, "pid": "abc"}),
    "a pid that is a fraction": json.dumps({**PROCESS, "pid": 1.5}),
    "a pid that is true": json.dumps({**PROCESS, "pid": True}),
    "a pid of a thousand digits": json.dumps(PROCESS).replace("4711", "9" * 1000),
    "a pid of ten thousand digits": json.dumps(PROCESS).replace("4711", "9" * 10_000),
    "a time that is none": json.dumps(PROCESS).replace("1.5", "NaN"),
    "a time that never comes": json.dumps(PROCESS).replace("1.5", "1e999"),
    "a null": json.dumps({**TOXIC, "api": None}),
    "a zero byte": json.dumps({**TOXIC, "api": "a\0"}),
    "half a character": json.dumps({**TOXIC, "api": "\ud800"}),
    "a list": "[]",
    "a number alone": "7",
    "text": '"toxic"',
    "null": "null",
    "an empty object": "{}",
    "a line cut in two": json.dumps(TOXIC)[:30],
    "two lines in one": json.dumps(TOXIC) + json.dumps(TOXIC),
    "deep nesting": "[" * 100_000,
    "deep nesting within": '{"number": ' + "[" * 100_000,
    "a done mark of no number": '{"done": [1]}',
    "a done mark of true": '{"done": true}',
    "a lifted mark of a mapping": '{"lifted": {}, "by": "reaper"}',
    "a mark and an act": json.dumps({**TOXIC, "done": 1}),
    "no JSON": "{'number': 1}",
    "another encoding": b'{"number": 1, "what": "\xff\xfe"}',
    "binary": b"\x00\x01\x02",
}


def as_bytes(line):
    return line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")


@pytest.fixture(params=UNREADABLE.values(), ids=UNREADABLE)
def line(request):
    return as_bytes(request.param)


@pytest.fixture
def dead_run(tmp_path):
    """Return a function that writes the journal of a run whose harness and reaper are dead."""
    dead = subprocess.Popen(["true"])
    dead.wait()

    def write(*lines, end=b"\n"):
        path = tmp_path / "undo.jsonl"
        path.write_bytes(b"\n".join(as_bytes(line) for line in lines) + end)
        register(Registered("run-d", str(tmp_path), str(path), harness=f"{dead.pid}:1.00", reaper=""))
        return path

    return write


def folder_act(folder):
    folder.mkdir()
    return json.dumps({"number": 0, "what": "folder", "path": str(folder)})


def test_a_line_that_cannot_be_read_is_left_behind_with_its_place(tmp_path, line):
    path = tmp_path / "undo.jsonl"
    path.write_bytes(json.dumps(TOXIC).encode() + b"\n" + line + b"\n")
    unreadable, toxic = outstanding(path)
    assert isinstance(unreadable.act, Unreadable)
    assert unreadable.act.at == f"{path}:2"
    assert toxic.act == ToxicPlaced("fault-1", "127.0.0.1:1", LINK, "fault-1")


def test_recover_reports_it_and_undoes_the_rest_however_often(dead_run, tmp_path, line, capsys):
    folder = tmp_path / "harness-data-1"
    path = dead_run(folder_act(folder), line, end=b"")
    cut_off_is_no_loss = line == as_bytes(UNREADABLE["a line cut in two"])
    for _ in range(2):  # what is written meanwhile must not hide it
        code = main(["recover"])
        said = capsys.readouterr().out
        if cut_off_is_no_loss:
            assert code == 0
        else:
            assert code == 5
            assert f"NOT undone: run-d: {path}:2 cannot be read: " in said
    assert not folder.exists()


def test_abort_reports_it_and_does_not_say_that_all_is_gone(dead_run, line, capsys):
    path = dead_run(line)
    assert main(["abort"]) == 5
    assert f"run-d: NOT undone: {path}:1 cannot be read: " in capsys.readouterr().out


def test_the_reaper_undoes_the_rest_and_says_that_something_is_left(tmp_path, line):
    folder = tmp_path / "harness-data-1"
    path = tmp_path / "undo.jsonl"
    path.write_bytes(folder_act(folder).encode() + b"\n" + line + b"\n")
    command = ["python", "-m", "harness.faults.safety.reaper", "--journal", str(path), "--lease-s", "60"]
    import sys

    done = subprocess.run([sys.executable, *command[1:]], input=b"", capture_output=True, timeout=60, check=False)
    assert (done.returncode, folder.exists()) == (5, False)
    assert f"left behind: {path}:2 cannot be read" in (tmp_path / "events.jsonl").read_text()


def test_the_harness_itself_does_not_end_as_if_all_was_undone(tmp_path):
    import asyncio

    from harness.model.errors import RollbackError

    safety = Safety(tmp_path, run_id="run-own", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    with safety.journal_path.open("a") as journal:
        journal.write('{"number": 9, "what": "magic"}\n')
    with pytest.raises(RollbackError, match=r"undo.jsonl:2 cannot be read"):
        asyncio.run(safety.dismiss())


@pytest.mark.parametrize("kind", ["folder", "link", "gone", "unreadable"])
def test_a_journal_that_cannot_be_read_at_all_is_left_behind(dead_run, tmp_path, kind, capsys):
    path = dead_run(json.dumps(TOXIC))
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "elsewhere").write_text("")
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "unreadable":
        os.mkfifo(path)
    assert main(["recover"]) == 5
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"run_id": ', b"\xff", "[" * 100_000]
    + [
        json.dumps(
            {"run_id": "r", "folder": "/r", "journal": "/r/undo.jsonl", "harness": "7:1.0", "reaper": ""} | change
        )
        for change in (
            {"journal": 5},
            {"journal": "undo.jsonl"},
            {"harness": "abc"},
            {"harness": "99999999999999999999:1"},
            {"harness": "-1:1.0"},
            {"reaper": "x"},
            {"new": 1},
        )
    ],
)
def test_a_registration_that_cannot_be_read_is_left_behind(content, capsys):
    path = state_folder() / "broken.json"
    path.write_bytes(as_bytes(content))
    for command in ("recover", "abort"):
        assert main([command]) == 5
        assert f"NOT undone: {path} cannot be read: " in capsys.readouterr().out
    assert list(registered()) == []


def test_a_number_that_was_used_twice_loses_neither_act(tmp_path):
    path = tmp_path / "undo.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in (TOXIC, {**TOXIC, "toxic": "fault-2"}, {"done": 3})) + "\n")
    assert [entry.act.toxic for entry in outstanding(path)] == ["fault-1"]


# -- what may be written -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forgotten(FaultAct):
    """An act that no fault kind declares."""

    what: ClassVar[str] = "forgotten"
    size: int

    @property
    def place(self):
        return "nowhere"

    def heal(self, deadline_s):
        return ""

    def is_there(self):
        return True


@dataclass(frozen=True, slots=True)
class Impostor(Forgotten):
    """An act under the name of another."""

    what: ClassVar[str] = "toxic"


@pytest.mark.parametrize("act", [Forgotten("fault-1", 1), Impostor("fault-1", 1)])
def test_an_act_that_no_kind_declares_is_refused_before_it_is_done(tmp_path, act):
    journal = Journal(tmp_path / "undo.jsonl")
    with pytest.raises(UnregisteredActError, match="must not be done: no fault kind declares this act") as raised:
        journal.write(act)
    assert isinstance(raised.value, TypeError)
    assert "acts" in raised.value.hint
    assert (tmp_path / "undo.jsonl").read_bytes() == b""
    journal.close()


@pytest.mark.parametrize("api", [None, 5, "a\0"])
def test_an_act_that_would_not_read_back_is_refused_before_it_is_done(tmp_path, api):
    journal = Journal(tmp_path / "undo.jsonl")
    with pytest.raises(UnregisteredActError, match="'api' must be text"):
        journal.write(LinkDown("fault-1", api, LINK))
    assert (tmp_path / "undo.jsonl").read_bytes() == b""
    journal.close()


def test_a_journal_is_new_private_and_no_link(tmp_path):
    run = tmp_path / "run"
    run.mkdir(mode=0o777)
    run.chmod(0o777)
    safety = Safety(run, run_id="run-new", lease_s=60, emit=Heard().append, clock=SteadyClock())
    (run / "undo.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="File exists"):
        safety._start()
    (run / "undo.jsonl").unlink()
    journal = Journal(run / "undo.jsonl", new=True)
    journal.close()
    assert ((run / "undo.jsonl").stat().st_mode & 0o777, run.stat().st_mode & 0o022) == (0o600, 0)
    with pytest.raises(OSError, match="File exists"):
        safety._start()
    assert not (tmp_path / "elsewhere").exists()


def test_after_a_full_disk_the_next_line_is_whole(tmp_path, monkeypatch):
    path, write = tmp_path / "undo.jsonl", os.write
    journal = Journal(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:20]))
        with pytest.raises(OSError, match="disk is full"):
            journal.write(LinkDown("fault-1", "127.0.0.1:1", LINK))
    journal.write(LinkDown("fault-2", "127.0.0.1:1", LINK))
    journal.close()
    assert [entry.act.fault for entry in outstanding(path)] == ["fault-2"]


# -- what is not ours --------------------------------------------------------------------------------------------------

LOOPBACK = "127.0.0.1:9"
FLAG = FlagSet("fault-1", "f", "http://127.0.0.1:9/f", "value", "1", "0", "PUT", "http://127.0.0.1:9/f", "{}", "{}")
INDEX = IndexDropped("fault-1", "db", "postgresql://u@127.0.0.1:9/x", "i", "CREATE INDEX i ON t (a)")


def but(act, **changes):
    from dataclasses import replace

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
    *(ProcessesPaused("fault-1", "orders", processes) for processes in ("", "abc", "1:5.0", "-1:5.0", "0:0", "7:nan")),
    *(HelperStarted("fault-1", "orders", processes) for processes in ("", "4711", "99999999999999999999:1.0")),
    LimitLowered("fault-1", "orders", "4711:1.0", 3, 1, 1, 1),
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
    assert re.search(r"not ours|not name|no process is named|is no signal|are not", undone.cause)


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
