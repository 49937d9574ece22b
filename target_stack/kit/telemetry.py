"""Traces: W3C context in and out, one SERVER span a request, one CLIENT span a real attempt, sent off in batches."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AnyValue

Attributes = dict[str, AnyValue]
_EXPORT_EVERY_MS = 500
_EXPORT_TIMEOUT_S = 2
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The tracer of one service; without an endpoint spans go nowhere, requests never notice the difference."""

    def __init__(self, service: str, otlp_endpoint: str | None) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource({"service.name": service}),
            shutdown_on_exit=False,
        )
        if otlp_endpoint:
            self._export_to(otlp_endpoint)
        self._tracer = self._provider.get_tracer("target_stack")

    @contextmanager
    def server_span(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """Run the block in the SERVER span of a request, as a child of the caller's span if it sent one."""
        parent = _propagator.extract(headers, otel_context.Context())
        with self._span(name, SpanKind.SERVER, attributes, parent) as span:
            yield span

    @contextmanager
    def client_span(self, name: str, attributes: Attributes) -> Iterator[Span]:
        """Run the block in the CLIENT span of one attempt; an exception ends it as an error of that type."""
        with self._span(name, SpanKind.CLIENT, attributes, None) as span:
            yield span

    @contextmanager
    def producer_span(self, name: str, origin: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """Run the block in the PRODUCER span of a message, in the trace of *origin*: that of what it tells of."""
        parent = _propagator.extract(origin, otel_context.Context())
        with self._span(name, SpanKind.PRODUCER, attributes, parent) as span:
            yield span

    @contextmanager
    def consumer_span(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """Run the block in the CONSUMER span of a delivery: the root of its own trace, linked to the producer."""
        producer = trace.get_current_span(_propagator.extract(headers, otel_context.Context())).get_span_context()
        links = [Link(producer)] if producer.is_valid else []
        with self._span(name, SpanKind.CONSUMER, attributes, otel_context.Context(), links) as span:
            yield span

    def note(self, event: str, attributes: Attributes) -> None:
        """Add an event to the current span; where none is recording, to a span of its own, so that none is lost."""
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(event, attributes)
            return
        own = self._tracer.start_span(event, context=otel_context.Context())
        own.add_event(event, attributes)
        own.end()

    def flush(self, timeout_s: float) -> None:
        """Send what is left, but wait no longer than *timeout_s*: the collector may be gone."""
        sender = threading.Thread(target=self._provider.shutdown, daemon=True)
        sender.start()
        sender.join(timeout_s)

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: otel_context.Context | None,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        span = self._tracer.start_span(name, context=parent, kind=kind, attributes=attributes, links=links)
        token = otel_context.attach(trace.set_span_in_context(span, parent))
        try:
            yield span
        except BaseException as error:
            mark_failed(span, type(error).__name__)
            raise
        finally:
            otel_context.detach(token)
            span.end()

    def _export_to(self, otlp_endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=8192, schedule_delay_millis=_EXPORT_EVERY_MS)
        )


def mark_failed(span: Span, error_type: str) -> None:
    """Give the span the status ERROR and the reason."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR, error_type))


def trace_headers() -> dict[str, str]:
    """Return the headers that carry the current span to the callee."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers
