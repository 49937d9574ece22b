"""The undo journal is readable after a kill at any byte, and forgets only what was confirmed."""

import json
import threading

from hypothesis import given
from hypothesis import strategies as st

from harness.faults.kinds.link_acts import LinkDown, ToxicPlaced
from harness.faults.safety.acts import FolderMade, ProcessMade, RunMark
from harness.faults.safety.journal import Journal, outstanding

ACTS = [
    RunMark("run-1", "77:1.25", "/runs/run-1", 5, 6, "/state/run-1.json"),
    ProcessMade("orders", 4711, 1234.5, 15),
    FolderMade("/tmp/harness-data-x"),
    ToxicPlaced("fault-1", "127.0.0.1:8474", "a -> b", "fault-1"),
    LinkDown("fault-2", "127.0.0.1:8474", "a -> ü"),
]


def written(path, done=()):
    journal = Journal(path)
    numbers = [journal.write(act) for act in ACTS]
    for number in done:
        journal.mark_done(number)
    journal.close()
    return numbers


def test_what_was_written_is_outstanding_latest_first(tmp_path):
    numbers = written(tmp_path / "undo.jsonl")
    found = outstanding(tmp_path / "undo.jsonl")
    assert [(entry.number, entry.act) for entry in found] == [*zip(numbers, ACTS, strict=True)][::-1]


def test_what_is_marked_done_is_not_outstanding(tmp_path):
    written(tmp_path / "undo.jsonl", done=[1, 3])
    assert [entry.number for entry in outstanding(tmp_path / "undo.jsonl")] == [4, 2, 0]


def test_a_lifted_fault_stays_outstanding_and_says_so(tmp_path):
    numbers = written(tmp_path / "undo.jsonl")
    journal = Journal(tmp_path / "undo.jsonl")
    journal.mark_lifted(numbers[3], "reaper")
    journal.close()
    assert {entry.number for entry in outstanding(tmp_path / "undo.jsonl") if entry.lifted} == {3}


def test_no_journal_holds_nothing(tmp_path):
    assert outstanding(tmp_path / "undo.jsonl") == []


@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_journal_cut_at_any_byte_tells_every_whole_line(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "undo.jsonl"
    written(path, done=[0, 2])
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    expected = {}
    for line in whole[:cut].split(b"\n"):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if "done" in content:
            expected.pop(content["done"])
        else:
            expected[content["number"]] = ACTS[content["number"]]
    assert {entry.number: entry.act for entry in outstanding(path)} == expected


@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_second_writer_after_a_cut_loses_nothing_of_its_own(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "undo.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:cut])
    before = [entry.number for entry in outstanding(path)]
    late = Journal(path, next_number=100)
    late.write(FolderMade("/tmp/harness-late"))
    for number in before:
        late.mark_done(number)
    late.close()
    assert [entry.number for entry in outstanding(path)] == [100]


@given(junk=st.binary(max_size=200))
def test_junk_is_passed_over(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / "undo.jsonl"
    path.write_bytes(junk)
    assert isinstance(outstanding(path), list)


def test_threads_get_different_numbers(tmp_path):
    journal = Journal(tmp_path / "undo.jsonl")
    threads = [
        threading.Thread(target=lambda: [journal.write(FolderMade(f"/tmp/harness-{n}")) for n in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert sorted(entry.number for entry in outstanding(tmp_path / "undo.jsonl")) == list(range(200))
