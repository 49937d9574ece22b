"""Writing a recording so that a killed run leaves a readable one: every segment appears whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.recording.columns import Table
from harness.recording.event_log import EVENT_KEYS, EventLog
from harness.recording.files import aside_of, create, replace_with

__all__ = ["EVENT_KEYS", "EventLog", "SegmentWriter", "write_json", "write_segment"]


class SegmentWriter:
    """Buffers rows of one table and writes them as Parquet segments `<source>-<n>.parquet`.

    Several processes may write one table, each with a source name of its own. Not thread-safe.
    """

    def __init__(self, run: Path, table: Table, *, source: str, max_rows: int = 50_000) -> None:
        self._folder = run / table.value
        self._folder.mkdir(parents=True, exist_ok=True)
        self._schema = table.schema
        self._source = source
        self._max_rows = max_rows
        self._rows: list[tuple[Any, ...]] = []
        self._segments = 0
        self.written = 0

    def append(self, row: tuple[Any, ...]) -> None:
        """Add one row, in the order of the schema's columns; writes a segment when the buffer is full."""
        self._rows.append(row)
        if len(self._rows) >= self._max_rows:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered as one segment; nothing buffered writes nothing.

        Raises:
            OSError: the disk is full or the folder is gone; the rows stay buffered.
        """
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)]
        name = f"{self._source}-{self._segments:05d}.parquet"
        write_segment(self._folder / name, pa.Table.from_arrays(arrays, schema=self._schema))
        self._segments += 1
        self.written += len(self._rows)
        self._rows.clear()


def write_segment(path: Path, table: pa.Table) -> None:
    """Write *table* aside and rename it into place."""
    aside = aside_of(path)
    try:
        with os.fdopen(create(aside), "wb") as file:
            pq.write_table(table, file, compression="zstd", compression_level=1)
        aside.rename(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file aside and rename it into place."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    replace_with(path, f"{text}\n".encode("utf-8", "replace"))
