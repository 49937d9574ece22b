"""From OTLP spans to rows. Attributes are kept where somebody may want to read them, which is not everywhere."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from harness.model.run.clock import NS_PER_MS

_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_OUTGOING = ("client", "producer")
_SLOW_NS = 100 * NS_PER_MS
_SAMPLED_OF = 10  # traces; by their id, so that a trace is kept whole

Attributes = Mapping[str, Any]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened inside a span."""

    time_ns: int
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span and the service that sent it."""

    service: str
    span: Span
    attributes: Attributes

    @property
    def events(self) -> tuple[SpanEvent, ...]:
        """Return what happened inside it."""
        return tuple(SpanEvent(e.time_unix_nano, e.name, _plain(e.attributes)) for e in self.span.events)

    def row(self) -> Row | None:
        """Return its row of the table SPANS; None where its ids are not what the format asks for."""
        span, given = self.span, self.attributes
        if len(span.trace_id) != 16 or len(span.span_id) != 8:
            return None
        kind = _KINDS[span.kind] if span.kind < len(_KINDS) else "internal"
        peer = given.get("peer.service")
        keep = self._is_worth_reading()
        return (
            span.trace_id,
            span.span_id,
            span.parent_span_id if len(span.parent_span_id) == 8 else None,
            self.service,
            span.name,
            kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            _STATUSES[span.status.code] if span.status.code < len(_STATUSES) else "unset",
            _text(given.get("tenant.id")),
            f"{self.service} -> {peer}" if peer and kind in _OUTGOING else None,
            _small(given.get("resilience.retry.attempt", given.get("http.request.resend_count"))),
            _small(given.get("http.response.status_code", given.get("http.status_code"))),
            json.dumps(given) if keep else None,
            _events_json(self.events) if span.events else None,
        )

    def _is_worth_reading(self) -> bool:
        span = self.span
        return (
            span.status.code == 2
            or len(span.events) > 0
            or span.end_time_unix_nano - span.start_time_unix_nano > _SLOW_NS
            or span.trace_id[-1] % _SAMPLED_OF == 0
        )


def received_spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """Yield every span of an export."""
    for resource_spans in request.resource_spans:
        service = _text(_plain(resource_spans.resource.attributes).get("service.name")) or "unknown_service"
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(service, span, _plain(span.attributes))


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bool_value":
            return value.bool_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _plain(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return None


def _events_json(events: Iterable[SpanEvent]) -> str:
    return json.dumps([{"name": e.name, "time": e.time_ns, "attributes": e.attributes} for e in events])


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _small(value: Any) -> int:
    return value if isinstance(value, int) and -32_768 <= value <= 32_767 else 0
