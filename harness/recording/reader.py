"""Reading a recording: lazily, by column, by window. Checks and report see a run only through this."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table
from harness.recording.event_lines import ForeignEvent, Line, read_lines
from harness.recording.event_log import AFTERWARDS, EVENTS
from harness.recording.manifest import Manifest, read_stored_manifest
from harness.recording.seal import changed_files
from harness.recording.segments import check_values, examine, open_table, reading

_TOLD_AFTERWARDS = (Kind.FAULT_UNDONE, Kind.FAULT_FAILED, Kind.PROCESS_EXITED, Kind.NOTE)
_TIME_COLUMN = {
    Table.REQUESTS: "intended_start",
    Table.SPANS: "start",
    Table.METRICS: "time",
    Table.LOGS: "time",
    Table.LEDGER: "time",
}


class Recording:
    """One run's folder, opened for reading. Opening reads the manifest only.

    A file that is damaged raises DamagedRecordingError, with its name, when it is first needed, or by `examine`.
    """

    def __init__(self, path: Path, *, trust: bool = False) -> None:
        self.path = path
        self._stored = read_stored_manifest(path)
        self.manifest: Manifest = self._stored.manifest
        self._trust = trust

    @property
    def plan(self) -> Plan:
        """Return the plan of the run."""
        return self.manifest.plan

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """Return what stands in run.json and means nothing to this version."""
        return self._stored.unknown_keys

    @cached_property
    def tampered(self) -> tuple[str, ...]:
        """Return which files are not as the run left them, in words; none where nothing was hashed, or with *trust*."""
        if self._trust:
            return ()
        own = () if self._stored.is_intact else ("run.json was changed",)
        return (*own, *changed_files(self.path, self.manifest.files))

    def examine(self) -> None:
        """Look at every file once, tables by their footers; DamagedRecordingError names the first that is damaged."""
        for table in Table:
            examine(self.path, table)
        _ = self.events

    def window(self, phase: Phase) -> Window | None:
        """Return when *phase* was; None if the run never came to have phases."""
        found = (w for w in self.manifest.windows if w.phase is phase)
        return next((Window(phase.value, w.start_ns, w.end_ns) for w in found), None)

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        return tuple(read_lines(self.path / EVENTS))

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Return all events of known kinds in the order of their time; a line that a kill cut short is passed over.

        What `harness recover` did after the run is among them.
        """
        own = [line for line in self._lines if isinstance(line, Event)]
        later = [line for line in read_lines(self.path / AFTERWARDS) if isinstance(line, Event)]
        told = [event for event in later if event.kind in _TOLD_AFTERWARDS]
        return tuple(sorted((*own, *told), key=lambda event: event.time_ns))

    @cached_property
    def foreign_events(self) -> tuple[ForeignEvent, ...]:
        """Return the events of kinds that this version does not know, in the order of their time."""
        found = (line for line in self._lines if isinstance(line, ForeignEvent))
        return tuple(sorted(found, key=lambda event: event.time_ns))

    @property
    def damaged_lines(self) -> int:
        """Return how many events were lost because their line was cut short by the kill of a writer."""
        return sum(line is None for line in self._lines)

    def events_of(self, *kinds: Kind) -> list[Event]:
        """Return the events of these kinds, in time order."""
        return [event for event in self.events if event.kind in kinds]

    def rows(self, table: Table) -> int:
        """Return how many rows *table* has."""
        with reading(self.path, table):
            dataset = open_table(self.path, table)
            return 0 if dataset is None else int(dataset.count_rows())

    def frame(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> pd.DataFrame:
        """Load some columns of a table, optionally of one window (by intended start, start or time) and filtered.

        Words come as categories, times as int64 ns, ids as bytes. A table that is not there gives an empty frame.
        """
        loaded = self.arrow(table, columns, window=window, where=where)
        frame: pd.DataFrame = loaded.to_pandas(split_blocks=True)
        return frame

    def arrow(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Load as `frame` does, as an Arrow table."""
        with reading(self.path, table):
            dataset = open_table(self.path, table)
            if dataset is None:
                return table.schema.empty_table().select(list(columns))
            loaded = dataset.to_table(columns=list(columns), filter=_condition(table, window, where))
            check_values(table, loaded)  # what a changed byte spoiled is found here, not by who uses it
            return loaded

    def batches(
        self, table: Table, columns: Sequence[str], *, window: Window | None = None, where: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream a table in batches, for what must run in bounded memory."""
        with reading(self.path, table):
            dataset = open_table(self.path, table)
            found = (
                ()
                if dataset is None
                else dataset.to_batches(
                    columns=list(columns),
                    filter=_condition(table, window, where),
                    batch_size=131_072,
                    fragment_readahead=2,
                    batch_readahead=4,
                )
            )
        yield from _checked(found, self.path, table)


def _condition(table: Table, window: Window | None, where: pc.Expression | None) -> pc.Expression | None:
    if window is None:
        return where
    time = pc.field(_TIME_COLUMN[table])
    inside = (time >= window.start_ns) & (time < window.end_ns) | time.is_null()  # a row without a time is damage
    return inside if where is None else inside & where


def _checked(batches: Iterable[pa.RecordBatch], run: Path, table: Table) -> Iterator[pa.RecordBatch]:
    """Pass *batches* on; only reading them is watched, not what is done with them."""
    coming = iter(batches)
    while True:
        with reading(run, table):
            batch = next(coming, None)
            if batch is None:
                return
            check_values(table, batch)
        yield batch
