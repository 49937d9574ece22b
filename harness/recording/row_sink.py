"""Rows on their way to disk: gathered in one thread, written in another, kept while the disk is full."""

from pathlib import Path
from typing import Any

from harness.recording.columns import Table
from harness.recording.writer import SegmentWriter

_NEVER = 1 << 62  # the writer must not write by itself: that would be in the thread that keeps time
_MOST_KEPT = 500_000

Row = tuple[Any, ...]


class RowSink:
    """One table's rows. `add` and `take` belong to one thread, `write` to any other, one call at a time."""

    def __init__(self, run: Path, table: Table, *, source: str, most_kept: int = _MOST_KEPT) -> None:
        self.table = table
        self._writer = SegmentWriter(run, table, source=source, max_rows=_NEVER)
        self._most_kept = most_kept
        self._fresh: list[Row] = []
        self._handed = 0
        self._refused = 0

    def add(self, row: Row) -> None:
        """Take one row, in the order of the table's columns."""
        self._fresh.append(row)

    def take(self) -> list[Row]:
        """Return the rows that came since the last call."""
        rows, self._fresh = self._fresh, []
        return rows

    def write(self, rows: list[Row]) -> OSError | None:
        """Write *rows* and what could not be written before as one segment; return what stood in the way, if anything.

        Rows that cannot be written are kept for the next call, up to a bound.
        """
        room = max(0, self._most_kept - self.unwritten)
        for row in rows[:room]:
            self._writer.append(row)
        self._handed += len(rows[:room])
        self._refused += len(rows[room:])
        try:
            self._writer.flush()
        except OSError as error:
            return error
        return None

    @property
    def unwritten(self) -> int:
        """How many rows wait for a disk that takes them."""
        return self._handed - self._writer.written

    @property
    def lost(self) -> int:
        """How many rows would be missing if the process ended now, apart from those never handed to `write`."""
        return self.unwritten + self._refused
