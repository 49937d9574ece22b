"""Rows outlive a disk that is full for a while."""

import errno

from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from tests.load.running import rows


def test_rows_wait_for_a_disk_that_takes_them(tmp_path):
    sink = RowSink(tmp_path, Table.LEDGER, source="test", most_kept=3)
    row = (1, "ok", "orders", "acme", "k", None, None)
    (tmp_path / "ledger").rename(tmp_path / "away")
    problem = sink.write([row, row])
    assert problem is not None
    assert problem.errno == errno.ENOENT
    assert (sink.unwritten, sink.lost) == (2, 2)
    assert sink.write([row, row]) is not None
    assert (sink.unwritten, sink.lost) == (3, 4)  # one found no room
    (tmp_path / "away").rename(tmp_path / "ledger")
    assert sink.write([]) is None
    assert (sink.unwritten, sink.lost) == (0, 1)
    assert len(rows(tmp_path, Table.LEDGER)) == 3
