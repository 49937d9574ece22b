"""A journal that was damaged, or that somebody else wrote: nothing is forgotten, and nothing of others is touched."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.cli.main import main
from harness.faults.kinds.link_acts import LinkDown, ToxicPlaced
from harness.faults.safety.acts import FaultAct, Unreadable
from harness.faults.safety.journal import Journal, UnregisteredActError, outstanding
from harness.faults.safety.registry import registered, state_folder
from harness.faults.safety.safety import Safety
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard

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
