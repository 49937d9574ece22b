"""The columns of each table of a recording. Times are UTC nanoseconds, ids are raw bytes (16 a trace, 8 a span)."""

from collections.abc import Mapping
from enum import Enum

import pyarrow as pa

_TIME = pa.int64()
_WORD = pa.string()  # few distinct values: Parquet dictionary-encodes them, the reader returns categories
_TRACE = pa.binary(16)
_SPAN = pa.binary(8)

REQUESTS = pa.schema(
    [
        ("tenant", _WORD),
        ("flow", _WORD),
        ("step", _WORD),
        ("intended_start", _TIME),  # when the arrival was due; for later steps the end of the step before
        ("start", _TIME),  # when it was sent; 0 if it never was (outcome dropped)
        ("end", _TIME),
        ("status", pa.int16()),  # HTTP status; 0 without an answer
        ("outcome", _WORD),  # Outcome
        ("error", _WORD),  # null, or a short cause: "timeout", "connection refused", "payment_unavailable"
        ("trace_id", _TRACE),
        ("bytes", pa.int32()),
        ("retry_after", pa.bool_()),  # the answer said when to come back
        ("foreign", _WORD),  # the other tenant whose data the answer held; null is good
    ]
)
SPANS = pa.schema(
    [
        ("trace_id", _TRACE),
        ("span_id", _SPAN),
        ("parent_id", _SPAN),  # null for a root
        ("service", _WORD),
        ("name", _WORD),
        ("kind", _WORD),  # server, client, internal, producer, consumer
        ("start", _TIME),
        ("end", _TIME),
        ("status", _WORD),  # unset, ok, error
        ("tenant", _WORD),
        ("link", _WORD),  # "caller -> callee" of client spans that name their peer.service
        ("attempt", pa.int16()),  # resilience.retry.attempt of client spans, else 0
        ("http_status", pa.int16()),  # 0 where there is none
        ("attributes", pa.string()),  # JSON, or null
        ("events", pa.string()),  # JSON list of {name, time, attributes}, or null
    ]
)
METRICS = pa.schema(
    [("time", _TIME), ("service", _WORD), ("name", _WORD), ("labels", _WORD), ("value", pa.float64())]
)  # labels: JSON, sorted keys
LOGS = pa.schema(
    [
        ("time", _TIME),
        ("service", _WORD),
        ("severity", _WORD),
        ("body", pa.string()),
        ("trace_id", _TRACE),
        ("tenant", _WORD),
    ]
)
LEDGER = pa.schema(
    [
        ("time", _TIME),
        ("type", _WORD),  # invoke, ok, fail, unknown (of writes); read (what the target holds at the end), before
        ("ledger", _WORD),
        ("tenant", _WORD),
        ("key", pa.string()),
        ("value", pa.string()),  # read: the tenant that the answer named; else null
        ("trace_id", _TRACE),
    ]
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
