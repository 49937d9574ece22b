"""The life of a service process: start, get ready, serve, drain on SIGTERM, leave nothing unsent."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import uvloop
from aiohttp import web

from target_stack.kit.app import Door, Service, make_app, make_management_app
from target_stack.kit.background import BackgroundTasks
from target_stack.kit.clock import SystemClock
from target_stack.kit.identity import Identity
from target_stack.kit.logs import Log, capture_library_logs
from target_stack.kit.metrics import Metrics
from target_stack.kit.protections import Protection
from target_stack.kit.recorder import Recorder
from target_stack.kit.settings import Settings, read_settings
from target_stack.kit.telemetry import Tracing
from target_stack.kit.toolbox import Toolbox, open_session

DRAIN_S = 2.0
FLUSH_S = 1.0


def serve(build: Callable[[Toolbox], Service]) -> None:
    """Run the service that *build* returns until SIGTERM or SIGINT, then exit the process with 0."""
    uvloop.run(_serve(read_settings(os.environ), build))


async def _serve(settings: Settings, build: Callable[[Toolbox], Service]) -> None:
    stopped = _stop_signal()
    toolbox = _toolbox(settings)
    _warn_of_missing_protections(toolbox)
    service = build(toolbox)
    app, door = make_app(toolbox, service)
    listener = Listener(toolbox, service, app, door)
    starting = asyncio.create_task(_start(listener, toolbox, service, door))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()  # a port that is taken ends the process
    await stopping
    starting.cancel()
    await _leave(toolbox, service, listener)
    sys.stdout.flush()
    os._exit(0)  # a second signal that came while the interpreter tears itself down would look like a crash


class Listener:
    """The ports of a service: the main one, over TLS where it has an identity, and that for health and metrics."""

    def __init__(self, toolbox: Toolbox, service: Service, app: web.Application, door: Door) -> None:
        self._settings = toolbox.settings
        self._identity = None if service.edge else toolbox.identity
        self._main = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=DRAIN_S)
        self._management = web.AppRunner(make_management_app(door), access_log=None)
        if self._identity is not None:
            self._settings.required("ADMIN_PORT")  # nobody could ask for health without a certificate

    async def open_management(self) -> None:
        """Serve health and metrics, where they have a port of their own."""
        await self._management.setup()
        if self._settings.admin_port is not None:
            await web.TCPSite(self._management, self._settings.host, self._settings.admin_port).start()

    async def open(self) -> None:
        """Serve."""
        tls = self._identity.server if self._identity is not None else None
        await self._main.setup()
        await web.TCPSite(self._main, self._settings.host, self._settings.port, backlog=1024, ssl_context=tls).start()

    async def close(self) -> None:
        """Stop accepting and finish what is under way."""
        await self._main.cleanup()
        await self._management.cleanup()


def _toolbox(settings: Settings) -> Toolbox:
    clock = SystemClock()
    log = Log(settings.service, clock)
    capture_library_logs(log)
    tracing = Tracing(settings.service, settings.otlp_endpoint)
    metrics = Metrics()
    metrics.restarts.set(int(settings.environment.get("SUPERVISOR_RESTARTS", "0")))
    identity = _identity(settings)
    return Toolbox(
        settings=settings,
        clock=clock,
        log=log,
        tracing=tracing,
        metrics=metrics,
        recorder=Recorder(tracing, metrics),
        tasks=BackgroundTasks(log),
        session=open_session(identity, repeats=not settings.protections.on(Protection.ONE_ATTEMPT)),
        identity=identity,
    )


def _identity(settings: Settings) -> Identity | None:
    if settings.identity is None:
        return None
    return Identity(settings.identity, asks_callers=settings.protections.on(Protection.MTLS))


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _warn_of_missing_protections(toolbox: Toolbox) -> None:
    off = sorted(protection.value for protection in toolbox.settings.protections.off)
    if off:
        toolbox.log.warning("protections are switched off for a proof", off=off)


async def _start(listener: Listener, toolbox: Toolbox, service: Service, door: Door) -> None:
    await listener.open_management()
    if toolbox.identity is not None:
        await toolbox.identity.wait()
    await listener.open()
    preparing = [_prepare(toolbox, service, door)]
    if toolbox.identity is not None:
        preparing.append(toolbox.identity.follow(toolbox.log))
    await asyncio.gather(*preparing)


async def _prepare(toolbox: Toolbox, service: Service, door: Door) -> None:
    await service.prepare()
    door.ready = True
    toolbox.log.info("ready", port=toolbox.settings.port)


async def _leave(toolbox: Toolbox, service: Service, listener: Listener) -> None:
    """Stop accepting, finish what is under way, then send the telemetry of it; each step has its limit."""
    await listener.close()
    await toolbox.tasks.drain(FLUSH_S)
    if service.close is not None:
        await service.close()
    await toolbox.session.close()
    await asyncio.to_thread(toolbox.tracing.flush, FLUSH_S)
