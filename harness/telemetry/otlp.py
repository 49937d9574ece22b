"""Receiving traces: OTLP over HTTP at the driver's address; spans become rows, their events the run's events."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.model.errors import HarnessError
from harness.model.run.clock import Clock
from harness.model.run.events import Event, Kind
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from harness.telemetry.beat import Beat
from harness.telemetry.span_events import BoundedEvents, run_events
from harness.telemetry.span_rows import received_spans

_FLUSH_EVERY_S = 1.0
_LARGEST_EXPORT_BYTES = 64 * 1024 * 1024
_MOST_EVENTS = 20_000
_PROTOBUF = "application/x-protobuf"


class OtlpReceiver:
    """What every service of the target exports to. Metrics and logs are accepted and passed over."""

    def __init__(
        self,
        run: Path,
        *,
        emit: Callable[[Event], None],
        clock: Clock,
        at: tuple[str, int],
        most_events: int = _MOST_EVENTS,
    ) -> None:
        """Receive at the host and port *at*; port 0 is any free one."""
        self._at = at
        self._emit = emit
        self._clock = clock
        self._events = BoundedEvents(emit, most=most_events)
        self._rows = RowSink(run, Table.SPANS, source="otlp")
        self._waiting: list[ExportTraceServiceRequest] = []
        self._malformed = 0
        self._odd_spans = 0
        self._runner: web.AppRunner | None = None
        self._flushing = Beat(self._flush, _FLUSH_EVERY_S)

    async def start(self) -> str:
        """Listen; return the endpoint, such as "http://127.0.0.1:40123".

        Raises:
            HarnessError: somebody else listens there.
        """
        app = web.Application(client_max_size=_LARGEST_EXPORT_BYTES)
        app.router.add_post("/v1/traces", self._traces)
        app.router.add_post("/v1/metrics", self._passed_over)
        app.router.add_post("/v1/logs", self._passed_over)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, *self._at).start()
        except OSError as problem:
            msg = f"traces cannot be received at {self._at[0]}:{self._at[1]}: {problem.strerror or problem}"
            raise HarnessError(msg, hint="end whatever listens there; `harness down` ends runs and stacks") from None
        self._flushing.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening, write what is there, and tell what was lost. Safe to repeat, and without a start."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        await runner.cleanup()
        await self._flushing.stop()
        await self._flush()
        self._tell_losses()

    async def _traces(self, request: web.Request) -> web.Response:
        if request.content_type != _PROTOBUF:
            return web.Response(status=415, text=f"only {_PROTOBUF} is understood")
        try:
            body = await request.read()  # a flush may come meanwhile: `_waiting` is looked up only afterwards
            self._waiting.append(ExportTraceServiceRequest.FromString(body))
        except (DecodeError, web.RequestPayloadError, web.HTTPException):
            self._malformed += 1
            return web.Response(status=400, text="not an ExportTraceServiceRequest")
        return web.Response(content_type=_PROTOBUF)

    async def _passed_over(self, request: web.Request) -> web.Response:
        return web.Response(content_type=request.content_type)

    async def _flush(self) -> None:
        """Convert and write in another thread; events are emitted from this one."""
        exports, self._waiting = self._waiting, []
        for event in await asyncio.to_thread(self._convert, exports):
            self._events(event)

    def _convert(self, exports: list[ExportTraceServiceRequest]) -> list[Event]:
        events: list[Event] = []
        for received in (span for export in exports for span in received_spans(export)):
            row = received.row()
            if row is None:
                self._odd_spans += 1
                continue
            self._rows.add(row)
            events.extend(run_events(received))
        self._rows.write(self._rows.take())
        return events

    def _tell_losses(self) -> None:
        losses = {
            "spans": self._rows.lost + self._odd_spans,
            "span events": self._events.withheld,
            "trace exports": self._malformed,
        }
        for what, count in losses.items():
            if count:
                self._emit(Event(self._clock.now_ns(), Kind.TELEMETRY_LOST, {"what": what, "count": count}))
