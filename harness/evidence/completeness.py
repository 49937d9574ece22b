"""Which traces are whole: the entry service saw the request, and no span hangs below one that is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.evidence.ids import Ids, key_of, words_of
from harness.recording.columns import Table
from harness.recording.reader import Recording

Bools = NDArray[np.bool_]
_COLUMNS = ("trace_id", "span_id", "parent_id", "service", "kind")
_AT_ONCE = 500_000


def are_complete(recording: Recording, trace_keys: Ids, *, entry: str) -> Bools:
    """Say of each trace whether it is complete. Streams all spans; keeps two words and a number of each.

    The entry service's own server span may have a parent that nobody recorded: the client's.
    """
    keys, which = np.unique(trace_keys, return_inverse=True)
    entered = np.zeros(len(keys), dtype=np.bool_)
    torn = np.zeros(len(keys), dtype=np.bool_)
    parts = [_Spans.none(), *_spans_of(recording, keys, entered, entry)]
    span_ids = np.sort(np.concatenate([part.ids for part in parts]))
    for part in parts:
        torn[part.traces_of_parents[~_holds(span_ids, part.parents)]] = True
    return (entered & ~torn)[which]


@dataclass(frozen=True, slots=True)
class _Spans:
    ids: Ids
    parents: Ids  # of those that have one and must have it recorded
    traces_of_parents: NDArray[np.int32]

    @classmethod
    def none(cls) -> "_Spans":
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int32))


def _spans_of(recording: Recording, keys: Ids, entered: Bools, entry: str) -> Iterator[_Spans]:
    for batch in recording.batches(Table.SPANS, _COLUMNS) if len(keys) else ():
        span_keys = key_of(words_of(batch.column("trace_id")))
        place = np.searchsorted(keys, span_keys)
        ours = keys[np.minimum(place, len(keys) - 1)] == span_keys
        at_entry = ours & _is(batch.column("service"), entry) & _is(batch.column("kind"), "server")
        entered[place[at_entry]] = True
        below = ours & ~at_entry & batch.column("parent_id").is_valid().to_numpy(zero_copy_only=False)
        ids, parents = (words_of(batch.column(name))[:, 0] for name in ("span_id", "parent_id"))
        yield _Spans(ids[ours], parents[below], place[below].astype(np.int32))


def _is(column: pa.DictionaryArray, word: str) -> Bools:
    words = column.dictionary.to_pylist()
    code = words.index(word) if word in words else -2
    same: Bools = column.indices.fill_null(-1).to_numpy(zero_copy_only=False) == code
    return same


def _holds(ordered: Ids, wanted: Ids) -> Bools:
    """Say of each of *wanted* whether it is among *ordered*."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        place = np.minimum(np.searchsorted(ordered, some), len(ordered) - 1)
        found[first : first + _AT_ONCE] = ordered[place] == some
    return found
