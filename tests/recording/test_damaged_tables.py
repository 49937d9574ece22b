"""A segment that a harness could not have written is told by its name, before anything is judged."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.model.errors import DamagedRecordingError
from harness.recording.columns import OF_FORMAT_1, Table
from harness.recording.reader import Recording
from tests.recordings import Written

NAMES = {
    Table.REQUESTS: "requests/hand-00000.parquet",
    Table.SPANS: "spans/hand-00000.parquet",
    Table.METRICS: "metrics/hand-00000.parquet",
    Table.LEDGER: "ledger/hand-00000.parquet",
}


@pytest.fixture
def run(tmp_path):
    written = Written(tmp_path / "run")
    written.request("acme", "checkout", 3)
    written.metric(3, "orders", "up", 1)
    written.ledger("ok", "acme", "k")
    return written.read().path


def examined(run):
    with pytest.raises(DamagedRecordingError) as told:
        Recording(run).examine()
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("table", NAMES)
@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"\x00" * 4096])
def test_what_is_no_parquet_is_damage(run, table, content):
    (run / NAMES[table]).write_bytes(content)
    assert f"{NAMES[table]}: damaged: it cannot be read" in examined(run)


@pytest.mark.parametrize("table", NAMES)
def test_a_segment_that_was_cut_short_is_damage(run, table):
    path = run / NAMES[table]
    os.truncate(path, path.stat().st_size - 5)
    assert f"{NAMES[table]}: damaged" in examined(run)


@pytest.mark.parametrize("table", NAMES)
def test_a_missing_column_is_damage_that_names_it(run, table):
    column = sorted(OF_FORMAT_1[table])[0]
    path = run / NAMES[table]
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    assert f"{NAMES[table]}: damaged: it has no column {column!r}" in examined(run)


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        (Table.REQUESTS, "start", ["early"]),
        (Table.REQUESTS, "start", [1.5]),
        (Table.REQUESTS, "tenant", [7]),
        (Table.REQUESTS, "status", ["200"]),
        (Table.REQUESTS, "retry_after", [1]),
        (Table.REQUESTS, "trace_id", ["text"]),
        (Table.REQUESTS, "tenant", [["a", "b"]]),
        (Table.METRICS, "value", ["1"]),
        (Table.METRICS, "time", [True]),
        (Table.LEDGER, "key", [{"a": 1}]),
    ],
)
def test_a_column_of_another_type_is_damage_that_names_it(run, table, column, values):
    path = run / NAMES[table]
    found = pq.read_table(path)
    wrong = found.set_column(found.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(wrong, path)
    assert f"{NAMES[table]}: damaged: its column {column!r} is " in examined(run)


@pytest.mark.parametrize(
    ("table", "column"), [(Table.REQUESTS, "end"), (Table.REQUESTS, "tenant"), (Table.METRICS, "value")]
)
def test_a_row_without_what_it_is_about_is_damage(run, table, column):
    path = run / NAMES[table]
    found = pq.read_table(path)
    number = found.schema.get_field_index(column)
    pq.write_table(found.set_column(number, column, pa.nulls(len(found), found.schema.field(number).type)), path)
    with pytest.raises(DamagedRecordingError, match=rf"hand-00000\.parquet: .*its column '{column}' lacks 1 values"):
        Recording(run).frame(table, [column])


def test_a_segment_as_another_writer_would_write_it_is_read(run):
    """Text as large strings or categories, whole numbers in other widths, columns in another order and further ones."""
    path = run / NAMES[Table.REQUESTS]
    found = pq.read_table(path)
    wide = {
        pa.string(): pa.large_string(),
        pa.int16(): pa.int64(),
        pa.int32(): pa.int64(),
    }
    names = list(reversed(found.schema.names))
    other = pa.table(
        {n: found[n].cast(wide.get(found.schema.field(n).type, found.schema.field(n).type)) for n in names}
    )
    pq.write_table(other.append_column("mood", pa.array(["fine"])), path)
    recording = Recording(run)
    recording.examine()
    (row,) = recording.arrow(Table.REQUESTS, Table.REQUESTS.schema.names).to_pylist()
    assert row == found.to_pylist()[0]


def test_a_column_that_came_later_is_null_in_an_older_segment(run, monkeypatch):
    newer = Table.METRICS.schema.append(pa.field("unit", pa.string()))
    monkeypatch.setattr(Table, "schema", property(lambda self: newer))
    recording = Recording(run)
    assert recording.arrow(Table.METRICS, ["unit", "value"]).to_pylist() == [{"unit": None, "value": 1.0}]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.mkdir(), "it is not a regular file"),
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "it is not a regular file"),
    ],
)
def test_a_segment_that_is_no_file_is_damage(run, make, problem):
    path = run / "metrics" / "other.parquet"
    make(path)
    assert f"metrics/other.parquet: damaged: {problem}" in examined(run)


@pytest.mark.parametrize("make", [lambda path: path.write_text("x"), os.mkfifo, lambda path: path.symlink_to("/tmp")])
def test_a_table_that_is_no_folder_is_damage(run, make):
    (run / "spans").rename(run / "aside")
    make(run / "spans")
    assert "spans: damaged: it is not a folder" in examined(run)


def test_text_that_is_not_utf_8_is_found_when_it_is_read(run):
    path = run / NAMES[Table.LEDGER]
    found = pq.read_table(path)
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    pq.write_table(found.set_column(found.schema.get_field_index("key"), "key", broken), path)
    with pytest.raises(DamagedRecordingError, match=r"ledger/hand-00000\.parquet: damaged: it cannot be read"):
        Recording(run).frame(Table.LEDGER, ["key"])
    with pytest.raises(DamagedRecordingError, match=r"ledger/hand-00000\.parquet"):
        list(Recording(run).batches(Table.LEDGER, ["key"]))
