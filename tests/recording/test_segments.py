"""Whatever a run left behind can be read: whole segments, cut-off lines, nothing at all."""

import os
import signal
import subprocess
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from harness.model.errors import DamagedRecordingError, UsageError
from harness.model.files.scenario import Phase
from harness.model.result.finding import How, Window
from harness.model.run.events import Event, Kind
from harness.recording.columns import Table
from harness.recording.manifest import hash_files, read_manifest, write_manifest
from harness.recording.reader import Recording
from harness.recording.writer import SegmentWriter
from tests.recordings import T0, Written, at

METRIC = (T0, "orders", "up", "{}", 1.0)


def test_rows_come_back_as_they_were_written_from_several_writers(tmp_path):
    written = Written(tmp_path / "run")
    trace = written.request("acme", "checkout", 3, latency_ms=40, status=503, retry_after=True, chain=())
    other = SegmentWriter(written.run, Table.REQUESTS, source="another")
    other.append(
        ("globex", "browse", "list", at(4), at(4), at(5), 0, "unknown", "timeout", bytes(16), None, False, None)
    )
    other.flush()
    rows = written.read().arrow(Table.REQUESTS, Table.REQUESTS.schema.names).sort_by("intended_start").to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("acme", "checkout", "order", at(3), at(3.0005), at(3.04), 503, "refused", None, trace, 512, True, None),
        ("globex", "browse", "list", at(4), at(4), at(5), 0, "unknown", "timeout", bytes(16), None, False, None),
    ]


def test_a_writer_cuts_segments_and_counts(tmp_path):
    writer = SegmentWriter(tmp_path, Table.METRICS, source="host", max_rows=2)
    for _ in range(5):
        writer.append(METRIC)
    assert writer.written == 4
    writer.flush()
    writer.flush()
    names = sorted(path.name for path in (tmp_path / "metrics").iterdir())
    assert (writer.written, names) == (5, [f"host-0000{n}.parquet" for n in range(3)])


def test_a_segment_that_cannot_be_written_keeps_its_rows_and_leaves_no_trace(tmp_path):
    writer = SegmentWriter(tmp_path, Table.METRICS, source="host")
    writer.append(METRIC)
    (tmp_path / "metrics").rename(tmp_path / "away")
    with pytest.raises(OSError, match="metrics"):
        writer.flush()
    (tmp_path / "away").rename(tmp_path / "metrics")
    writer.flush()
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["host-00000.parquet"]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from harness.recording.columns import Table
from harness.recording.writer import SegmentWriter
writer = SegmentWriter(Path(sys.argv[1]), Table.METRICS, source="host", max_rows=500)
while True:
    writer.append((1, "orders", "up", "{}", 1.0))
    if writer.written == 1000:
        print("ready", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_whole_segments(tmp_path):
    run = Written(tmp_path / "run").read(how=None).path
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(run)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGKILL)
    segments = list((run / "metrics").glob("*.parquet"))
    assert all(pq.read_table(path).num_rows == 500 for path in segments)
    assert Recording(run).rows(Table.METRICS) == 500 * len(segments) >= 1000


def test_what_was_being_written_when_it_was_killed_is_passed_over(tmp_path):
    written = Written(tmp_path / "run")
    written.row(Table.METRICS, *METRIC)
    recording = written.read(how=None)
    (written.run / "metrics" / "host-00007.partial").write_bytes(b"PAR1")
    assert recording.rows(Table.METRICS) == 1


def test_a_line_cut_at_any_byte_takes_no_other_event_with_it(tmp_path):
    written = Written(tmp_path / "run")
    written.event(1, Kind.NOTE, text="first — with a dash")
    written.event(2, Kind.FAULT_APPLIED, fault="fault-1", kind="latency")
    recording = written.read()
    whole = (written.run / "events.jsonl").read_bytes()
    first = Event(at(1), Kind.NOTE, {"text": "first — with a dash"})
    second = Event(at(2), Kind.FAULT_APPLIED, {"fault": "fault-1", "kind": "latency"})
    boundary = whole.index(b"\n") + 1
    for cut in range(boundary, len(whole)):
        (written.run / "events.jsonl").write_bytes(whole[:cut])
        expected = (first, second) if cut == len(whole) - 1 else (first,)  # only the line's end is missing
        assert Recording(recording.path).events == expected


def test_a_table_that_was_never_written_is_empty(tmp_path):
    recording = Written(tmp_path / "run").read()
    assert recording.rows(Table.SPANS) == 0
    assert recording.frame(Table.SPANS, ["service", "start"]).empty
    assert list(recording.batches(Table.SPANS, ["service"])) == []
    assert recording.events == ()


def test_windows_leave_their_end_out_and_filters_narrow_them(tmp_path):
    written = Written(tmp_path / "run")
    for second in (11.5, 12, 21.9, 22):
        for service in ("orders", "payments"):
            written.metric(second, service, "up", second)
    recording = written.read()
    fault = recording.window(Phase.FAULT)
    assert fault == Window("fault", at(12), at(22))
    where = pc.field("service") == "orders"
    assert recording.frame(Table.METRICS, ["value"], window=fault, where=where)["value"].tolist() == [12, 21.9]
    batches = recording.batches(Table.METRICS, ["value"], window=fault, where=where)
    assert [value for batch in batches for value in batch["value"].to_pylist()] == [12, 21.9]


def test_words_come_as_categories_and_times_as_numbers(tmp_path):
    written = Written(tmp_path / "run")
    written.metric(3, "orders", "up", 1)
    frame = written.read().frame(Table.METRICS, ["service", "time", "value"])
    assert [str(kind) for kind in frame.dtypes] == ["category", "int64", "float64"]


def test_a_broken_segment_is_an_error_that_names_the_table(tmp_path):
    written = Written(tmp_path / "run")
    written.metric(3, "orders", "up", 1)
    recording = written.read()
    (written.run / "metrics" / "hand-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(DamagedRecordingError, match=r"metrics/hand-00000\.parquet: damaged: it cannot be read"):
        recording.frame(Table.METRICS, ["value"])


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    manifest = Written(tmp_path / "run").read(how=How.FAILED, cause="orders died").manifest
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_folder_without_a_manifest_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="not a recording"):
        Recording(tmp_path)


def test_every_file_but_the_derived_ones_is_hashed(tmp_path):
    written = Written(tmp_path / "run")
    written.metric(3, "orders", "up", 1)
    written.event(1, Kind.NOTE, text="x")
    path = written.read().path
    (path / "report.html").write_text("derived")
    before = hash_files(path)
    assert sorted(before) == ["events.jsonl", "metrics/hand-00000.parquet"]
    (path / "events.jsonl").write_text("changed")
    assert hash_files(path)["events.jsonl"] != before["events.jsonl"]
