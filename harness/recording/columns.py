"""The columns of each table of a recording. Times are UTC nanoseconds, ids are raw bytes (16 a trace, 8 a span)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

_TIME = pa.int64()
_WORD = pa.string()  # few distinct values: Parquet dictionary-encodes them, the reader returns categories
_TRACE = pa.binary(16)
_SPAN = pa.binary(8)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, and what it holds."""

    name: str
    type: pa.DataType
    about: str


REQUESTS_COLUMNS = (
    Column("tenant", _WORD, "Whose request it was."),
    Column("flow", _WORD, "Name of the flow."),
    Column("step", _WORD, "Name of the step."),
    Column("intended_start", _TIME, "When the arrival was due; for later steps the end of the step before."),
    Column("start", _TIME, "When it was sent; 0 if it never was (outcome dropped)."),
    Column("end", _TIME, "When the answer was complete, or was given up."),
    Column("status", pa.int16(), "HTTP status; 0 without an answer."),
    Column("outcome", _WORD, "ok, refused, failed, unknown (no answer) or dropped (never sent)."),
    Column("error", _WORD, 'Null, or a short cause: "timeout", "connection refused", "payment_unavailable".'),
    Column("trace_id", _TRACE, "The trace that the request began."),
    Column("bytes", pa.int32(), "Length of the answer's body."),
    Column("retry_after", pa.bool_(), "The answer said when to come back."),
    Column("foreign", _WORD, "The other tenant whose data the answer held; null is good."),
)
SPANS_COLUMNS = (
    Column("trace_id", _TRACE, "Its trace."),
    Column("span_id", _SPAN, "Its own id."),
    Column("parent_id", _SPAN, "Null for a root."),
    Column("service", _WORD, "The service that recorded it."),
    Column("name", _WORD, "Name of the operation."),
    Column("kind", _WORD, "One of server, client, internal, producer, consumer."),
    Column("start", _TIME, "When it began."),
    Column("end", _TIME, "When it ended."),
    Column("status", _WORD, "One of unset, ok, error."),
    Column("tenant", _WORD, "Whose request it belongs to."),
    Column("link", _WORD, '"caller -> callee" of client spans that name their peer.service.'),
    Column("attempt", pa.int16(), "The attribute resilience.retry.attempt of client spans, else 0."),
    Column("http_status", pa.int16(), "0 where there is none."),
    Column("attributes", pa.string(), "JSON, or null."),
    Column("events", pa.string(), "JSON list of {name, time, attributes}, or null."),
)
METRICS_COLUMNS = (
    Column("time", _TIME, "When it was scraped."),
    Column("service", _WORD, "The service that exposes it."),
    Column("name", _WORD, "Name of the metric."),
    Column("labels", _WORD, "JSON with sorted keys."),
    Column("value", pa.float64(), "The sample."),
)
LOGS_COLUMNS = (
    Column("time", _TIME, "When it was written."),
    Column("service", _WORD, "The service that wrote it."),
    Column("severity", _WORD, "As the service writes it."),
    Column("body", pa.string(), "The message."),
    Column("trace_id", _TRACE, "The trace that it belongs to, or null."),
    Column("tenant", _WORD, "Whose request it belongs to, or null."),
)
LEDGER_COLUMNS = (
    Column("time", _TIME, "When it happened."),
    Column("type", _WORD, "Invoke, ok, fail, unknown (of writes); read (what the target holds at the end), before."),
    Column("ledger", _WORD, "Name of the ledger."),
    Column("tenant", _WORD, "Whose write or read it was."),
    Column("key", pa.string(), "The key that was written or read."),
    Column("value", pa.string(), "Read: the tenant that the answer named; else null."),
    Column("trace_id", _TRACE, "The trace of the request."),
)


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in columns])


REQUESTS, SPANS, METRICS, LOGS, LEDGER = map(
    _schema, (REQUESTS_COLUMNS, SPANS_COLUMNS, METRICS_COLUMNS, LOGS_COLUMNS, LEDGER_COLUMNS)
)


class Table(Enum):
    """The folders of a recording."""

    REQUESTS = "requests"
    SPANS = "spans"
    METRICS = "metrics"
    LOGS = "logs"
    LEDGER = "ledger"

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        return {"requests": REQUESTS, "spans": SPANS, "metrics": METRICS, "logs": LOGS, "ledger": LEDGER}[self.value]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns with what they hold."""
        return _COLUMNS[self.value]


_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "requests": REQUESTS_COLUMNS,
    "spans": SPANS_COLUMNS,
    "metrics": METRICS_COLUMNS,
    "logs": LOGS_COLUMNS,
    "ledger": LEDGER_COLUMNS,
}

WORDS = frozenset(
    {"tenant", "flow", "step", "outcome", "error", "foreign", "service", "name", "kind", "status", "link"}
    | {"labels", "severity", "type", "ledger"}
)
"""Columns of text with few distinct values: read as categories."""

OF_FORMAT_1: Mapping[Table, frozenset[str]] = {
    Table.REQUESTS: frozenset(
        {"tenant", "flow", "step", "intended_start", "start", "end", "status", "outcome", "error", "trace_id", "bytes"}
        | {"retry_after", "foreign"}
    ),
    Table.SPANS: frozenset(
        {"trace_id", "span_id", "parent_id", "service", "name", "kind", "start", "end", "status", "tenant", "link"}
        | {"attempt", "http_status", "attributes", "events"}
    ),
    Table.METRICS: frozenset(("time", "service", "name", "labels", "value")),
    Table.LOGS: frozenset(("time", "service", "severity", "body", "trace_id", "tenant")),
    Table.LEDGER: frozenset(("time", "type", "ledger", "tenant", "key", "value", "trace_id")),
}
"""What every recording has. A column that is added later is null in a segment that was written without it."""

NEVER_NULL: Mapping[Table, frozenset[str]] = {
    Table.REQUESTS: frozenset(("tenant", "flow", "intended_start", "start", "end", "outcome")),
    Table.SPANS: frozenset(("service", "kind", "start", "end")),
    Table.METRICS: frozenset(("time", "service", "name", "value")),
    Table.LOGS: frozenset(("time",)),
    Table.LEDGER: frozenset(("time", "type", "ledger", "tenant")),
}
"""Columns without which a row says nothing."""


class Outcome(Enum):
    """How a request ended, for the one who sent it."""

    OK = "ok"
    REFUSED = "refused"  # 429 or 503: a definite no before any effect
    FAILED = "failed"  # any other definite answer that was not expected
    UNKNOWN = "unknown"  # no answer: it may or may not have had its effect
    DROPPED = "dropped"  # due, but the generator never sent it
