"""Calls over the links that a scenario speaks of: their client spans, streamed once, a few columns each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.evidence.ids import Ids, key_of, words_of
from harness.model.result.finding import Window
from harness.recording.columns import Table
from harness.recording.reader import Recording

Ints = NDArray[np.int64]
Words = NDArray[np.object_]
_COLUMNS = (
    "link", "trace_id", "span_id", "parent_id", "start", "end", "attempt", "status", "http_status", "tenant", "name",
)  # fmt: skip
_REFUSING = 429
_FAULTY = 500


@dataclass(frozen=True, slots=True)
class Calls:
    """Attempts over one link, ordered by their start."""

    start_ns: Ints
    end_ns: Ints
    attempt: NDArray[np.int16]
    failed: NDArray[np.bool_]
    parent: Ids  # the span that made the call
    trace: Ids  # [row, 2]
    id: Ids  # of its own span
    tenant: Words  # as the span names it; "" where it names none
    name: Words

    def __len__(self) -> int:
        return len(self.start_ns)

    def moved(self, by_ns: int) -> "Calls":
        """Return the calls that much later: what a caller whose clock is off should have recorded."""
        return replace(self, start_ns=self.start_ns + by_ns, end_ns=self.end_ns + by_ns) if by_ns else self

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "Calls":
        """Return the rows of a mask, a slice or positions."""
        return Calls(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def begun_in(self, window: Window) -> "Calls":
        """Return the calls that began in *window*."""
        first, last = np.searchsorted(self.start_ns, (window.start_ns, window.end_ns))
        return self.only(slice(int(first), int(last)))

    def under_way_in(self, window: Window) -> "Calls":
        """Return the calls that touch *window*."""
        return self.only((self.start_ns < window.end_ns) & (self.end_ns > window.start_ns))

    @property
    def took_ns(self) -> Ints:
        """How long each was."""
        took: Ints = self.end_ns - self.start_ns
        return took

    @property
    def peak(self) -> int:
        """Most calls under way at one moment; one that begins when another ends does not meet it."""
        if not len(self):
            return 0
        moments = np.concatenate([self.start_ns, self.end_ns])
        change = np.repeat([1, -1], len(self))
        order = np.lexsort((change, moments))
        return int(np.cumsum(change[order]).max())


def load_calls(recording: Recording, links: Iterable[str]) -> Mapping[str, Calls]:
    """Read the calls over *links*; a link without any has no rows."""
    wanted = sorted(set(links))
    parts: dict[str, list[Calls]] = {link: [_no_calls()] for link in wanted}
    where = pc.field("kind") == "client"
    for batch in recording.batches(Table.SPANS, _COLUMNS, where=where) if wanted else ():
        links_here, codes = _codes(batch.column("link"))
        for link in set(wanted) & set(links_here):
            rows = np.flatnonzero(codes == links_here.index(link))
            if len(rows):
                parts[link].append(_read(batch, rows))
    return {link: _in_order(found) for link, found in parts.items()}


def _codes(column: pa.DictionaryArray) -> tuple[list[str], Ints]:
    codes: Ints = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return column.dictionary.to_pylist(), codes


def _read(batch: pa.RecordBatch, rows: Ints) -> Calls:
    words, status = _codes(batch.column("status"))
    failed = words.index("error") if "error" in words else -2
    answer = batch.column("http_status").fill_null(0).to_numpy(zero_copy_only=False)[rows]
    return Calls(
        start_ns=batch.column("start").to_numpy()[rows],
        end_ns=batch.column("end").to_numpy()[rows],
        attempt=batch.column("attempt").fill_null(0).to_numpy(zero_copy_only=False)[rows],
        failed=(status == failed)[rows] | (answer >= _FAULTY) | (answer == _REFUSING),
        parent=words_of(batch.column("parent_id"))[rows, 0],
        trace=words_of(batch.column("trace_id"))[rows],
        id=words_of(batch.column("span_id"))[rows, 0],
        tenant=_words(batch.column("tenant"), rows),
        name=_words(batch.column("name"), rows),
    )


def _words(column: pa.DictionaryArray, rows: Ints) -> Words:
    words, codes = _codes(column)
    return np.array([*words, ""], dtype=object)[codes[rows]]  # a null is the last one


def _no_calls() -> Calls:
    times, parents = np.empty(0, np.int64), np.empty(0, np.uint64)
    flags, attempts = np.empty(0, np.bool_), np.empty(0, np.int16)
    words = np.empty(0, dtype=object)
    return Calls(times, times, attempts, flags, parents, np.empty((0, 2), np.uint64), parents, words, words)


def _in_order(parts: list[Calls]) -> Calls:
    joined = Calls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Calls)))
    once = joined.only(np.unique(joined.id ^ key_of(joined.trace), return_index=True)[1])  # an export may come twice
    return once.only(np.lexsort((once.id, once.start_ns)))
