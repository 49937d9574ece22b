"""Traces of the real SDK and its real exporter, over real HTTP, as rows and events."""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from harness.model.run.events import Event, Kind
from harness.recording.columns import Table
from harness.telemetry.otlp import OtlpReceiver
from tests.telemetry.reading import NOW_NS, StillClock, rows

MS = 1_000_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class CountingIds(IdGenerator):
    """Trace ids 0x…01, 0x…02, …: none of the first nine is in the sample whose attributes are kept."""

    def __init__(self):
        self.trace = self.span = 0

    def generate_trace_id(self):
        self.trace += 1
        return self.trace

    def generate_span_id(self):
        self.span += 1
        return self.span


@asynccontextmanager
async def receiving(run, events, **options):
    """A receiver that is stopped, and has written everything, when the block is left."""
    receiver = OtlpReceiver(run, emit=events.append, clock=StillClock(), at=("127.0.0.1", 0), **options)
    url = await receiver.start()
    try:
        yield url
    finally:
        await receiver.stop()
        await receiver.stop()  # is safe to repeat


def export(url, write_spans, *, service="payments", compression=Compression.NoCompression):
    """Let *write_spans* use a tracer of the SDK whose spans are exported to *url*."""
    provider = TracerProvider(resource=Resource({"service.name": service}), id_generator=CountingIds())
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    write_spans(provider.get_tracer("test"))
    provider.shutdown()


def received(run, write_spans, **options):
    """Export spans into a recording; return its rows and the events."""
    events: list[Event] = []

    async def main():
        async with receiving(run, events) as url:
            await asyncio.to_thread(export, url, write_spans, **options)

    asyncio.run(main())
    return rows(run, Table.SPANS), events


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_call_and_its_caller(tmp_path, compression):
    def write(tracer):
        acme = {"tenant.id": "acme"}
        server = tracer.start_span("POST /pay", kind=SpanKind.SERVER, start_time=NOW_NS, attributes=acme)
        client = tracer.start_span(
            "POST /charges",
            context=set_span_in_context(server),
            kind=SpanKind.CLIENT,
            start_time=NOW_NS + MS,
            attributes={
                "peer.service": "provider-a",
                "tenant.id": "acme",
                "resilience.retry.attempt": 2,
                "http.response.status_code": 503,
            },
        )
        client.set_status(Status(StatusCode.ERROR, "503"))
        client.end(NOW_NS + 3 * MS)
        server.end(NOW_NS + 4 * MS)

    spans, events = received(tmp_path, write, compression=compression)
    trace = (1).to_bytes(16, "big")
    ids = [n.to_bytes(8, "big") for n in (1, 2)]
    assert events == []
    server = (trace, ids[0], None, "payments", "POST /pay", "server", NOW_NS, NOW_NS + 4 * MS, "unset")
    client = (trace, ids[1], ids[0], "payments", "POST /charges", "client", NOW_NS + MS, NOW_NS + 3 * MS, "error")
    found = spans.drop(columns=["attributes"]).itertuples(index=False, name=None)
    assert sorted(found, key=lambda row: row[1]) == [
        (*server, "acme", None, 0, 0, None),
        (*client, "acme", "payments -> provider-a", 2, 503, None),
    ]
    kept = dict(zip(spans.kind, spans.attributes, strict=True))
    assert kept["server"] is None  # neither slow, nor failed, nor sampled
    assert json.loads(kept["client"])["peer.service"] == "provider-a"


def test_attributes_are_kept_of_slow_spans_and_of_one_trace_in_ten(tmp_path):
    def write(tracer):
        for number in range(1, 21):
            span = tracer.start_span("work", start_time=NOW_NS, attributes={"list": [1, 2], "x": 0.5, "yes": True})
            span.end(NOW_NS + (101 if number == 3 else 100) * MS)

    spans, _ = received(tmp_path, write)
    kept = {int.from_bytes(t, "big"): json.loads(a) for t, a in zip(spans.trace_id, spans.attributes, strict=True) if a}
    assert kept == {number: {"list": [1, 2], "x": 0.5, "yes": True} for number in (3, 10, 20)}


def test_every_protection_tells_its_story(tmp_path):
    link = "payments -> provider-a"
    happened = [
        (
            "resilience.breaker.state_changed",
            {"resilience.breaker.name": link, "resilience.breaker.from": "closed", "resilience.breaker.to": "open"},
            (Kind.BREAKER_CHANGED, {"breaker": link, "from_state": "closed", "to_state": "open", "tenant": "acme"}),
        ),
        (
            "resilience.breaker.refused",
            {"resilience.breaker.name": link},
            (Kind.BREAKER_REFUSED, {"breaker": link, "tenant": "acme"}),
        ),
        (
            "resilience.bulkhead.rejected",
            {"resilience.bulkhead.name": link, "resilience.bulkhead.outcome": "full"},
            (Kind.BULKHEAD_REJECTED, {"bulkhead": link, "outcome": "full", "tenant": "acme"}),
        ),
        (
            "resilience.retry.scheduled",
            {"link": link, "resilience.retry.attempt": 1, "resilience.retry.delay_ms": 12.5},
            (Kind.RETRY_SCHEDULED, {"link": link, "attempt": 1, "delay_ms": 12.5}),
        ),
        (
            "resilience.retry.refused",
            {"link": link, "reason": "budget"},
            (Kind.RETRY_REFUSED, {"link": link, "reason": "budget"}),
        ),
        ("resilience.deadline.exceeded", {}, (Kind.DEADLINE_EXCEEDED, {"tenant": "acme"})),
        ("resilience.rate_limit.refused", {"tenant.id": "globex"}, (Kind.RATE_LIMITED, {"tenant": "globex"})),
        ("something.else", {}, None),
    ]

    def write(tracer):
        span = tracer.start_span("POST /pay", start_time=NOW_NS, attributes={"tenant.id": "acme"})
        for number, (name, attributes, _) in enumerate(happened):
            span.add_event(name, attributes, timestamp=NOW_NS + number)
        span.end(NOW_NS + MS)

    spans, events = received(tmp_path, write)
    common = {"service": "payments", "trace_id": f"{1:032x}"}
    assert events == [
        Event(NOW_NS + number, meant[0], {**common, **meant[1]})
        for number, (_, _, meant) in enumerate(happened)
        if meant
    ]
    assert json.loads(spans.events[0])[0] == {
        "name": "resilience.breaker.state_changed",
        "time": NOW_NS,
        "attributes": happened[0][1],
    }


def test_a_flood_of_events_is_bounded_and_counted_but_breakers_always_speak(tmp_path):
    def write(tracer):
        for number in range(5):
            span = tracer.start_span("GET /", start_time=NOW_NS)
            span.add_event("resilience.rate_limit.refused", {"tenant.id": "acme"}, timestamp=NOW_NS + number)
            span.add_event("resilience.breaker.state_changed", {}, timestamp=NOW_NS + number)
            span.end(NOW_NS)

    events: list[Event] = []

    async def main():
        async with receiving(tmp_path, events, most_events=2) as url:
            await asyncio.to_thread(export, url, write)

    asyncio.run(main())
    kinds = [event.kind for event in events]
    assert kinds.count(Kind.RATE_LIMITED) == 2
    assert kinds.count(Kind.BREAKER_CHANGED) == 5
    assert events[-1] == Event(NOW_NS, Kind.TELEMETRY_LOST, {"what": "span events", "count": 3})


def request_with_span(trace_id: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.kind = trace_id, b"12345678", 99
    span.status.code = 0
    return request.SerializeToString()


async def post(url, path, body, headers):
    async with aiohttp.ClientSession() as session, session.post(f"{url}{path}", data=body, headers=headers) as answer:
        return answer.status


def posted(run, *calls):
    """Post bodies as they are; return the statuses and the events."""
    events: list[Event] = []

    async def main():
        async with receiving(run, events) as url:
            return [await post(url, *call) for call in calls]

    return asyncio.run(main()), events


def lost(what, count):
    return Event(NOW_NS, Kind.TELEMETRY_LOST, {"what": what, "count": count})


def test_malformed_exports_are_refused_counted_and_harm_nothing(tmp_path):
    zipped = {**PROTOBUF, "Content-Encoding": "gzip"}
    good = request_with_span(b"0123456789abcdef")
    statuses, events = posted(
        tmp_path,
        ("/v1/traces", b"\xff\xff\xff", PROTOBUF),
        ("/v1/traces", b"not gzip", zipped),
        ("/v1/traces", gzip.compress(good), zipped),
        ("/v1/traces", b"{}", {"Content-Type": "application/json"}),
    )
    assert statuses == [400, 400, 200, 415]
    assert events == [lost("trace exports", 2)]
    assert list(rows(tmp_path, Table.SPANS).service) == ["unknown_service"]


def test_spans_without_proper_ids_are_counted(tmp_path):
    statuses, events = posted(tmp_path, ("/v1/traces", request_with_span(b"short"), PROTOBUF))
    assert (statuses, events) == ([200], [lost("spans", 1)])
    assert len(rows(tmp_path, Table.SPANS)) == 0


def test_exporters_of_metrics_and_logs_stay_quiet(tmp_path):
    statuses, events = posted(tmp_path, ("/v1/metrics", b"x", PROTOBUF), ("/v1/logs", b"x", PROTOBUF))
    assert (statuses, events) == ([200, 200], [])


def test_spans_are_written_while_the_run_goes_on(tmp_path):
    async def main():
        async with receiving(tmp_path, []) as url:
            await post(url, "/v1/traces", request_with_span(b"0123456789abcdef"), PROTOBUF)
            async with asyncio.timeout(20):
                while not list((tmp_path / "spans").glob("*.parquet")):  # noqa: ASYNC110 - another thread writes it
                    await asyncio.sleep(0.05)

    asyncio.run(main())
    assert len(rows(tmp_path, Table.SPANS)) == 1


def test_a_disk_that_takes_no_spans_is_told(tmp_path):
    events: list[Event] = []

    async def main():
        async with receiving(tmp_path, events) as url:
            (tmp_path / "spans").rmdir()
            await post(url, "/v1/traces", request_with_span(b"0123456789abcdef"), PROTOBUF)

    asyncio.run(main())
    assert events == [lost("spans", 1)]


def test_stopping_before_starting_does_nothing(tmp_path):
    asyncio.run(OtlpReceiver(tmp_path, emit=pytest.fail, clock=StillClock(), at=("127.0.0.1", 0)).stop())


def test_an_export_that_comes_in_parts_is_kept_whatever_is_written_meanwhile(tmp_path):
    async def send():
        receiver = OtlpReceiver(tmp_path, emit=[].append, clock=StillClock(), at=("127.0.0.1", 0))
        url = await receiver.start()
        body = request_with_span(b"0123456789abcdef")
        head = f"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        writer.write(head.encode() + b"Content-Type: application/x-protobuf\r\n\r\n" + body[:5])
        await asyncio.sleep(0.1)  # so that the receiver waits for the rest
        await receiver._flush()
        writer.write(body[5:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await receiver.stop()

    asyncio.run(send())
    assert len(rows(tmp_path, Table.SPANS)) == 1
