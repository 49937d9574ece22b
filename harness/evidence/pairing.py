"""Client spans and the server spans below them, each looked up by its id: what is missing, and whose clock is off.

A call that was answered without an error must have a server span, where its callee exports any; a server span must
have its client span. Streams the spans once and keeps some numbers of each, no text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.evidence.ids import Ids, key_of, words_of
from harness.model.files.target import ends_of
from harness.recording.columns import Table
from harness.recording.reader import Recording

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_COLUMNS = ("trace_id", "span_id", "parent_id", "service", "kind", "link", "start", "end", "status")
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Ends:
    """Client or server spans as columns."""

    id: Ids
    parent: Ids
    has_parent: Bools
    service: NDArray[np.int16]  # who recorded it
    callee: NDArray[np.int16]  # of client spans that name their link, else NOBODY
    trace: Ids  # one word
    start_ns: Ints
    end_ns: Ints
    failed: Bools

    def __len__(self) -> int:
        return len(self.id)

    def only(self, chosen: Any) -> "Ends":
        """Return the rows of a mask or positions."""
        return Ends(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Spans:
    """All client and server spans of a recording; each counts once."""

    recording: Recording
    services: tuple[str, ...]
    clients: Ends
    servers: Ends

    def code(self, service: str) -> int:
        """Return the number of a service; NOBODY for one that recorded nothing and was called by nobody."""
        return self.services.index(service) if service in self.services else NOBODY

    def exists(self, ids: Ids) -> Bools:
        """Say of each id whether any span has it. Streams all spans: it is asked of few, the odd ones."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for batch in self.recording.batches(Table.SPANS, ("span_id",)) if len(ids) else ():
            found |= among(ids, np.sort(words_of(batch.column("span_id"))[:, 0]))
        return found


def among(wanted: Ids, ordered: Ids) -> Bools:
    """Say of each of *wanted* whether it is among *ordered*."""
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.bool_)
    turn = np.argsort(wanted)  # looked up in order: neighbours lie close to each other in memory
    found = np.zeros(len(wanted), dtype=np.bool_)
    place = np.minimum(np.searchsorted(ordered, wanted[turn]), len(ordered) - 1)
    found[turn] = ordered[place] == wanted[turn]
    return found


def load_ends(recording: Recording) -> Spans:
    """Read the spans of a recording."""
    names: dict[str, int] = {}
    clients, servers = [_none()], [_none()]
    for batch in recording.batches(Table.SPANS, _COLUMNS):
        for kind, parts in (("client", clients), ("server", servers)):
            rows = np.flatnonzero(_is(batch.column("kind"), kind))
            if len(rows):
                parts.append(_read(batch, rows, names))
    return Spans(recording, tuple(names), _once(clients), _once(servers))


def _read(batch: pa.RecordBatch, rows: Ints, names: dict[str, int]) -> Ends:
    failed = _is(batch.column("status"), "error")
    return Ends(
        id=words_of(batch.column("span_id"))[rows, 0],
        parent=words_of(batch.column("parent_id"))[rows, 0],
        has_parent=batch.column("parent_id").is_valid().to_numpy(zero_copy_only=False)[rows],
        service=_codes(batch.column("service"), lambda word: word, names)[rows],
        callee=_codes(batch.column("link"), lambda word: ends_of(word)[1] if " -> " in word else "", names)[rows],
        trace=key_of(words_of(batch.column("trace_id")))[rows],
        start_ns=batch.column("start").to_numpy()[rows],
        end_ns=batch.column("end").to_numpy()[rows],
        failed=failed[rows],
    )


def _codes(column: pa.DictionaryArray, read: Any, names: dict[str, int]) -> NDArray[np.int16]:
    """Return the number of each row's word, new words getting the next numbers; a null is NOBODY."""
    words = [read(str(word)) for word in column.dictionary.to_pylist()]
    numbers = [names.setdefault(word, len(names)) if word else NOBODY for word in words]
    codes = column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    coded: NDArray[np.int16] = np.array([*numbers, NOBODY], dtype=np.int16)[codes]
    return coded


def _is(column: pa.DictionaryArray, word: str) -> Bools:
    words = column.dictionary.to_pylist()
    code = words.index(word) if word in words else -2
    same: Bools = column.indices.fill_null(-1).to_numpy(zero_copy_only=False) == code
    return same


def _none() -> Ends:
    ids, flags, times = np.empty(0, np.uint64), np.empty(0, np.bool_), np.empty(0, np.int64)
    codes = np.empty(0, np.int16)
    return Ends(ids, ids, flags, codes, codes, ids, times, times, flags)


def _once(parts: list[Ends]) -> Ends:
    """Join *parts*, one of each span, ordered by id: an exporter that was not answered sends again.

    Column by column: all of them twice would be too much for millions of spans.
    """
    ids, traces = (np.concatenate([getattr(part, name) for part in parts]) for name in ("id", "trace"))
    order = np.argsort(ids, kind="stable")
    ids, traces = ids[order], traces[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (ids[1:] == ids[:-1]) & (traces[1:] == traces[:-1])
    chosen = order[~again]
    columns = [[getattr(part, field.name) for part in parts] for field in fields(Ends)]
    parts.clear()
    joined = []
    while columns:
        joined.append(np.concatenate(columns.pop(0))[chosen])
    return Ends(*joined)


@dataclass(frozen=True, slots=True)
class Links:
    """Each server span with the client span above it: its row among the clients, NOBODY where there is none."""

    client_of: Ints
    answered: Bools  # of each client span: a server span is below it


def link_up(spans: Spans) -> Links:
    """Look up the client span of each server span."""
    clients, servers = spans.clients, spans.servers
    if not len(clients):
        return Links(np.full(len(servers), NOBODY), np.zeros(0, dtype=np.bool_))
    turn, place = np.argsort(servers.parent), np.empty(len(servers), np.int64)
    place[turn] = np.minimum(np.searchsorted(clients.id, servers.parent[turn]), len(clients) - 1)
    found = servers.has_parent & (clients.id[place] == servers.parent)
    answered = np.zeros(len(clients), dtype=np.bool_)
    answered[place[found]] = True
    return Links(np.where(found, place, NOBODY), answered)


def by_service(spans: Spans) -> Iterator[tuple[int, str]]:
    """Yield number and name of each service that recorded a server span."""
    for code in np.unique(spans.servers.service).tolist():
        yield code, spans.services[code]
