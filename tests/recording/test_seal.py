"""What was hashed when the run ended is verified, each way of changing it told with the file's name."""

import os
import shutil

import pytest

from harness.model.run.events import Event, Kind
from harness.recording.event_log import EventLog
from harness.recording.manifest import hash_files, read_manifest, write_manifest
from harness.recording.reader import Recording
from tests.recordings import Written


@pytest.fixture
def run(tmp_path):
    written = Written(tmp_path / "run")
    written.metric(3, "orders", "up", 1)
    written.event(1, Kind.NOTE, text="x")
    written.read()
    (written.run / "logs-raw").mkdir()
    (written.run / "logs-raw" / "orders.log").write_text("hello\n")
    write_manifest(written.run, read_manifest(written.run).model_copy(update={"files": hash_files(written.run)}))
    return written.run


SEGMENT = "metrics/hand-00000.parquet"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path):
    path.rename(path.parent.parent / "aside")
    path.symlink_to(path.parent.parent / "aside")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def test_an_untouched_run_is_intact(run):
    assert Recording(run).tampered == ()


@pytest.mark.parametrize("name", [SEGMENT, "events.jsonl", "logs-raw/orders.log"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (flip, "was changed"),
        (lambda path: path.open("ab").write(b"\n"), "was changed"),
        (lambda path: os.truncate(path, 0), "was changed"),
        (lambda path: path.unlink(), "is missing"),
        (link, "cannot be read: it is a symbolic link"),
        (pipe, "cannot be read: it is not a regular file"),
    ],
)
def test_every_change_of_a_file_is_told_with_its_name(run, name, change, told):
    change(run / name)
    assert Recording(run).tampered[0] == f"{name} {told}"
    assert Recording(run, trust=True).tampered == ()


def test_an_added_segment_is_told(run):
    shutil.copy(run / SEGMENT, run / "metrics" / "hand-00001.parquet")
    (run / "requests").mkdir(exist_ok=True)
    shutil.copy(run / SEGMENT, run / "requests" / "other.parquet")
    assert Recording(run).tampered == ("requests/other.parquet was added", "metrics/hand-00001.parquet was added")


def test_a_removed_table_is_told(run):
    shutil.rmtree(run / "metrics")
    assert Recording(run).tampered == (f"{SEGMENT} is missing",)


def test_what_is_made_of_the_recording_or_laid_beside_it_is_no_evidence(run):
    for name in ("verdict.json", "report.html", "summary.md", "junit.xml", "my-notes.txt", "undo.jsonl"):
        (run / name).write_text("x")
    (run / "metrics" / "hand-00002.partial").write_text("x")
    assert Recording(run).tampered == ()


def test_a_derived_name_within_a_table_hides_nothing(run):
    (run / "logs-raw" / "verdict.json").write_text("x")
    assert "logs-raw/verdict.json" in hash_files(run)


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside", "metrics/../../outside"])
def test_a_manifest_that_names_files_elsewhere_is_not_followed(run, name):
    manifest = read_manifest(run)
    write_manifest(run, manifest.model_copy(update={"files": {**manifest.files, name: "0" * 64}}))
    assert Recording(run).tampered == (f"{name} lies outside of the recording",)


def test_what_recover_does_after_the_run_changes_nothing_that_was_hashed(run):
    log = EventLog(run)
    log.append(Event(9, Kind.FAULT_UNDONE, {"fault": "fault-1", "by": "recover"}))
    log.append(Event(10, Kind.FAULT_APPLIED, {"fault": "fault-1"}))
    log.close()
    recording = Recording(run)
    assert recording.tampered == ()
    kinds = [event.kind for event in recording.events]
    assert kinds == [Kind.FAULT_UNDONE, Kind.NOTE]  # an undo can be told afterwards, evidence cannot
