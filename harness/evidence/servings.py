"""What a service says of the requests that it served: its server spans, the callee's side of every call."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.evidence.ids import Ids, key_of, words_of
from harness.model.result.finding import Window
from harness.recording.columns import Table
from harness.recording.reader import Recording

Ints = NDArray[np.int64]
_COLUMNS = ("service", "trace_id", "span_id", "parent_id", "start", "end")


@dataclass(frozen=True, slots=True)
class Servings:
    """Requests that one service served, ordered by their start."""

    start_ns: Ints
    end_ns: Ints
    parent: Ids  # the client span that made the call, where the trace was passed on
    key: Ids  # of the trace
    id: Ids

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def none(cls) -> "Servings":
        """Return no servings."""
        times, ids = np.empty(0, np.int64), np.empty(0, np.uint64)
        return cls(times, times, ids, ids, ids)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "Servings":
        """Return the rows of a mask, a slice or positions."""
        return Servings(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def begun_in(self, window: Window) -> "Servings":
        """Return those that began in *window*."""
        first, last = np.searchsorted(self.start_ns, (window.start_ns, window.end_ns))
        return self.only(slice(int(first), int(last)))


def load_servings(recording: Recording, services: Collection[str]) -> Mapping[str, Servings]:
    """Read the server spans of *services*; one that exports none is left out."""
    parts: dict[str, list[Servings]] = {}
    wanted = pc.field("service").isin(sorted(services)) & (pc.field("kind") == "server")
    for batch in recording.batches(Table.SPANS, _COLUMNS, where=wanted) if services else ():
        column = batch.column("service")
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for code, service in enumerate(column.dictionary.to_pylist()):
            rows = np.flatnonzero(codes == code)
            if len(rows):
                parts.setdefault(service, []).append(_read(batch, rows))
    return {service: _in_order(found) for service, found in parts.items()}


def _read(batch: pa.RecordBatch, rows: Ints) -> Servings:
    return Servings(
        start_ns=batch.column("start").to_numpy()[rows],
        end_ns=batch.column("end").to_numpy()[rows],
        parent=words_of(batch.column("parent_id"))[rows, 0],
        key=key_of(words_of(batch.column("trace_id")))[rows],
        id=words_of(batch.column("span_id"))[rows, 0],
    )


def _in_order(parts: list[Servings]) -> Servings:
    joined = Servings(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Servings)))
    once = np.unique(joined.key ^ joined.id, return_index=True)[1]  # an export that was repeated counts once
    joined = joined.only(np.sort(once))
    return joined.only(np.argsort(joined.start_ns, kind="stable"))
