"""A trace as a waterfall: spans in the order of their calls, each a bar on the time of the request."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harness.model.run.clock import NS_PER_MS
from harness.recording.columns import Table
from harness.report.answers import Answers
from harness.report.observed import Observed
from harness.report.words import milliseconds
from harness.report.worst import Request, worst_requests

_COLUMNS = ("trace_id", "span_id", "parent_id", "service", "name", "kind", "start", "end", "status", "link", "events")
_MOST_SPANS = 24
_MOST_NOTES = 8

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SpanBar:
    """One span."""

    service: str
    label: str
    depth: int
    left: float
    width: float
    length_ms: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Note:
    """An event inside a span: a breaker that refused, a retry."""

    at_ms: float
    text: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One request with what its trace says."""

    request: Request
    bars: tuple[SpanBar, ...]
    notes: tuple[Note, ...]
    hidden: int
    request_width: float
    total_ms: float

    @property
    def trace_id(self) -> str:
        """As tools write it."""
        return self.request.trace_id.hex()

    @property
    def ended(self) -> str:
        """How it ended, in words: "504 failed: deadline"."""
        r = self.request
        answered = f"{r.status} {r.outcome}" if r.status else f"no answer, {r.outcome}"
        return answered + (f": {r.error}" if r.error else "")

    @property
    def said(self) -> str:
        """The picture in words."""
        bars = (f"{b.service} {b.label} {milliseconds(b.length_ms)}{' (error)' if b.failed else ''}" for b in self.bars)
        return "; ".join(bars) or "no spans were recorded"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A bad request beside a median one."""

    worst: Waterfall
    twin: Waterfall | None
    victim: bool

    @property
    def times_slower(self) -> float | None:
        """Its latency over that of its twin."""
        if self.twin is None or self.twin.request.latency_ms <= 0:
            return None
        return self.worst.request.latency_ms / self.twin.request.latency_ms


def comparisons(observed: Observed, answers: Answers) -> tuple[Comparison, ...]:
    """Return the worst requests as waterfalls beside their twins; all spans are fetched in one pass."""
    found = worst_requests(observed, answers)
    requests = [request for worst in found for request in (worst.request, worst.twin) if request]
    spans = _spans(observed, [request.trace_id for request in requests])
    return tuple(
        Comparison(
            _waterfall(worst.request, spans.get(worst.request.trace_id, [])),
            _waterfall(worst.twin, spans.get(worst.twin.trace_id, [])) if worst.twin else None,
            worst.victim,
        )
        for worst in found
    )


def _spans(observed: Observed, trace_ids: Sequence[bytes]) -> dict[bytes, list[dict[str, Any]]]:
    if not trace_ids:
        return {}
    wanted = pc.field("trace_id").isin(pa.array(sorted(set(trace_ids)), type=pa.binary(16)))
    found: dict[bytes, list[dict[str, Any]]] = {}
    for row in observed.recording.arrow(Table.SPANS, _COLUMNS, where=wanted).to_pylist():
        found.setdefault(row["trace_id"], []).append(row)
    return found


def _waterfall(request: Request, spans: Rows) -> Waterfall:
    begin_ns = min([request.begin_ns, *(span["start"] for span in spans)])
    total_ns = max(1, max([request.end_ns, *(span["end"] for span in spans)]) - begin_ns)
    ordered = list(_Tree(spans).walk())
    bars = tuple(_bar(span, depth, begin_ns, total_ns) for span, depth in ordered[:_MOST_SPANS])
    notes = sorted((n for span, _ in ordered for n in _notes(span, begin_ns)), key=lambda note: note.at_ms)
    width = (request.end_ns - request.begin_ns) / total_ns
    hidden = max(0, len(ordered) - _MOST_SPANS)
    return Waterfall(request, bars, tuple(notes[:_MOST_NOTES]), hidden, width, total_ns / NS_PER_MS)


def _bar(span: Mapping[str, Any], depth: int, begin_ns: int, total_ns: int) -> SpanBar:
    length_ns = max(0, span["end"] - span["start"])
    return SpanBar(
        service=str(span["service"]),
        label=str(span["link"] or span["name"]),
        depth=depth,
        left=(span["start"] - begin_ns) / total_ns,
        width=length_ns / total_ns,
        length_ms=length_ns / NS_PER_MS,
        failed=span["status"] == "error",
    )


@dataclass(slots=True)
class _Tree:
    """Spans below their parents; those whose parent is not there (the client's is not) are roots."""

    spans: Rows
    children: dict[bytes | None, list[Mapping[str, Any]]] = field(default_factory=dict)

    def walk(self) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Yield each span once with its depth, parents first, then by start."""
        known = {span["span_id"] for span in self.spans}
        for span in sorted(self.spans, key=lambda span: span["start"]):
            parent = span["parent_id"] if span["parent_id"] in known else None
            self.children.setdefault(parent, []).append(span)
        yield from self._below(None, 0)

    def _below(self, parent: bytes | None, depth: int) -> Iterator[tuple[Mapping[str, Any], int]]:
        for span in self.children.pop(parent, []):  # popped: a span that claims to be its own ancestor ends here
            yield span, depth
            yield from self._below(span["span_id"], depth + 1)


def _notes(span: Mapping[str, Any], begin_ns: int) -> Iterator[Note]:
    try:
        events = json.loads(span["events"] or "[]")
        for event in events:
            name = str(event["name"]).removeprefix("resilience.").replace("_", " ").replace(".", " ")
            details = ", ".join(str(value) for value in (event.get("attributes") or {}).values())
            yield Note((int(event["time"]) - begin_ns) / NS_PER_MS, f"{span['service']}: {name} {details}".strip())
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # events that somebody else wrote in another shape: the bars are still good
