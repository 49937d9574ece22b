"""Where the time of a trace went, or where it broke: the link that a person would point at."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from harness.evidence.ids import Ids, key_of, words_of
from harness.recording.columns import Table
from harness.recording.reader import Recording

DOMINANT = 0.5
"""A link on which this share of the trace was spent is to blame, whatever else failed."""

_REFUSED = "resilience.breaker.refused"
_COLUMNS = ("trace_id", "span_id", "parent_id", "kind", "link", "start", "end", "status", "events")


@dataclass(frozen=True, slots=True)
class SpanLine:
    """What blame needs to know of one span."""

    id: int
    parent: int | None
    link: str | None  # of client spans
    start_ns: int
    end_ns: int
    failed: bool
    refused_by: tuple[str, ...] = ()  # breakers that refused a call here

    @property
    def took_ns(self) -> int:
        """How long it was."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one request."""

    key: int
    spans: tuple[SpanLine, ...]

    def culprit(self, asked: str, refused: Ids) -> str | None:
        """Return the link to blame; *refused* are traces of which the breaker of *asked* refused a call.

        In this order: the link that took most of the time; one whose breaker refused; the deepest that failed; the
        slowest. The time that a callee spent, as its own server span tells, is not the link's.
        """
        by_link = self._own_time_by_link()
        slowest = max(by_link, key=lambda link: by_link[link], default=None)
        if slowest is not None and by_link[slowest] >= DOMINANT * self._took_ns:
            return slowest
        if asked in (name for span in self.spans for name in span.refused_by) or self.key in refused:
            return asked
        return self._deepest_failure() or slowest

    @property
    def _took_ns(self) -> int:
        begin, end = (s.start_ns for s in self.spans), (s.end_ns for s in self.spans)
        return max(end, default=0) - min(begin, default=0)

    def _own_time_by_link(self) -> dict[str, int]:
        below: dict[int, int] = {}
        for span in self.spans:
            if span.parent is not None:
                below[span.parent] = below.get(span.parent, 0) + span.took_ns
        times: dict[str, int] = {}
        for span in self.spans:
            if span.link is not None:
                times[span.link] = times.get(span.link, 0) + max(0, span.took_ns - below.get(span.id, 0))
        return times

    def _deepest_failure(self) -> str | None:
        failed = [span for span in self.spans if span.failed and span.link is not None]
        return max(failed, key=self._depth).link if failed else None

    def _depth(self, span: SpanLine) -> int:
        by_id = {s.id: s for s in self.spans}
        depth, above = 0, span.parent
        while above in by_id and depth < len(self.spans):
            depth, above = depth + 1, by_id[above].parent
        return depth


def load_traces(recording: Recording, trace_keys: Ids) -> list[Trace]:
    """Read the spans of some traces, in the order of *trace_keys*; a trace without spans is empty."""
    spans: dict[int, list[SpanLine]] = {int(key): [] for key in trace_keys}
    wanted = np.unique(trace_keys)
    for batch in recording.batches(Table.SPANS, _COLUMNS) if len(wanted) else ():
        keys = key_of(words_of(batch.column("trace_id")))
        rows = np.flatnonzero(np.isin(keys, wanted))
        for key, line in zip(keys[rows].tolist(), _lines(batch, rows.tolist()), strict=True):
            spans[key].append(line)
    return [Trace(int(key), tuple(spans[int(key)])) for key in trace_keys]


def _lines(batch: pa.RecordBatch, rows: Sequence[int]) -> Iterator[SpanLine]:
    some = batch.take(pa.array(rows, type=pa.int64())) if rows else batch.slice(0, 0)
    for row in some.to_pylist():
        yield SpanLine(
            id=int.from_bytes(row["span_id"] or b"", "little"),
            parent=None if row["parent_id"] is None else int.from_bytes(row["parent_id"], "little"),
            link=row["link"] if row["kind"] == "client" else None,
            start_ns=row["start"],
            end_ns=row["end"],
            failed=row["status"] == "error",
            refused_by=_refused_by(row["events"]),
        )


def _refused_by(events: str | None) -> tuple[str, ...]:
    if not events or _REFUSED not in events:
        return ()
    refused = (event for event in json.loads(events) if event.get("name") == _REFUSED)
    return tuple(str(event.get("attributes", {}).get("resilience.breaker.name", "")) for event in refused)
