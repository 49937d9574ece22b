"""Reading a recording: lazily, by column, by window. Checks and report see a run only through this."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from harness.model.errors import UsageError
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table
from harness.recording.manifest import Manifest, read_manifest
from harness.recording.writer import EVENT_KEYS

_WORDS = frozenset(
    (
        "tenant",
        "flow",
        "step",
        "outcome",
        "error",
        "foreign",
        "service",
        "name",
        "kind",
        "status",
        "link",
        "labels",
        "severity",
        "type",
        "ledger",
    )
)
_TIME_COLUMN = {
    Table.REQUESTS: "intended_start",
    Table.SPANS: "start",
    Table.METRICS: "time",
    Table.LOGS: "time",
    Table.LEDGER: "time",
}


class Recording:
    """One run's folder, opened for reading. Opening reads the manifest only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)

    @property
    def plan(self) -> Plan:
        """Return the plan of the run."""
        return self.manifest.plan

    def window(self, phase: Phase) -> Window | None:
        """Return when *phase* was; None if the run never came to have phases."""
        found = (w for w in self.manifest.windows if w.phase is phase)
        return next((Window(phase.value, w.start_ns, w.end_ns) for w in found), None)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Return all events in the order of their time; a last line that was cut short by a kill is passed over."""
        return tuple(sorted(_read_events(self.path / "events.jsonl"), key=lambda event: event.time_ns))

    def events_of(self, *kinds: Kind) -> list[Event]:
        """Return the events of these kinds, in time order."""
        return [event for event in self.events if event.kind in kinds]

    def rows(self, table: Table) -> int:
        """Return how many rows *table* has."""
        dataset = self._dataset(table)
        return 0 if dataset is None else int(dataset.count_rows())

    def frame(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> pd.DataFrame:
        """Load some columns of a table, optionally of one window (by intended start, start or time) and filtered.

        Words come as categories, times as int64 ns, ids as bytes. A table that is not there gives an empty frame.
        """
        frame: pd.DataFrame = self.arrow(table, columns, window=window, where=where).to_pandas(split_blocks=True)
        return frame

    def arrow(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Load as `frame` does, as an Arrow table."""
        dataset = self._dataset(table)
        if dataset is None:
            return table.schema.empty_table().select(list(columns))
        return dataset.to_table(columns=list(columns), filter=_condition(table, window, where))

    def batches(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream a table in batches, for what must run in bounded memory."""
        dataset = self._dataset(table)
        if dataset is not None:
            yield from dataset.to_batches(
                columns=list(columns),
                filter=_condition(table, window, where),
                batch_size=131_072,
                fragment_readahead=2,
                batch_readahead=4,
            )

    def _dataset(self, table: Table) -> ds.Dataset | None:
        files = sorted((self.path / table.value).glob("*.parquet"))
        if not files:
            return None
        words = [f.name for f in table.schema if f.name in _WORDS and f.type == pa.string()]
        options = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=words))
        schema = pa.schema(
            [(f.name, pa.dictionary(pa.int32(), pa.string()) if f.name in words else f.type) for f in table.schema]
        )
        try:
            return ds.dataset([str(f) for f in files], format=options, schema=schema)
        except (pa.ArrowInvalid, OSError) as error:
            msg = f"{self.path / table.value}: cannot be read: {error}"
            raise UsageError(msg) from None


def _condition(table: Table, window: Window | None, where: pc.Expression | None) -> pc.Expression | None:
    if window is None:
        return where
    time = pc.field(_TIME_COLUMN[table])
    inside = (time >= window.start_ns) & (time < window.end_ns)
    return inside if where is None else inside & where


def _read_events(path: Path) -> Iterator[Event]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            content: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # a kill in the middle of a line
        time_ns, kind = content.pop("time"), Kind(content.pop("kind"))
        yield Event(time_ns, kind, {_field_name(key): value for key, value in content.items()})


def _field_name(key: str) -> str:
    """Undo what the writer does to fields that are called like the line's own keys."""
    return key[:-1] if key[:-1] in EVENT_KEYS else key
