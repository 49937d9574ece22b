"""The life of a service process: start, get ready, serve, drain on SIGTERM, leave nothing unsent."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import uvloop
from aiohttp import web

from target_stack.kit.app import Door, Service, make_app
from target_stack.kit.background import BackgroundTasks
from target_stack.kit.clock import SystemClock
from target_stack.kit.logs import Log, capture_library_logs
from target_stack.kit.metrics import Metrics
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
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=DRAIN_S)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
    preparing = asyncio.create_task(_prepare(toolbox, service, door))
    await stopped.wait()
    preparing.cancel()
    await _leave(toolbox, service, runner)
    sys.stdout.flush()
    os._exit(0)  # a second signal that came while the interpreter tears itself down would look like a crash


def _toolbox(settings: Settings) -> Toolbox:
    clock = SystemClock()
    log = Log(settings.service, clock)
    capture_library_logs(log)
    tracing = Tracing(settings.service, settings.otlp_endpoint)
    metrics = Metrics()
    return Toolbox(
        settings=settings,
        clock=clock,
        log=log,
        tracing=tracing,
        metrics=metrics,
        recorder=Recorder(tracing, metrics),
        tasks=BackgroundTasks(log),
        session=open_session(),
    )


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _warn_of_missing_protections(toolbox: Toolbox) -> None:
    off = sorted(protection.value for protection in toolbox.settings.protections.off)
    if off:
        toolbox.log.warning("protections are switched off for a proof", off=off)


async def _prepare(toolbox: Toolbox, service: Service, door: Door) -> None:
    await service.prepare()
    door.ready = True
    toolbox.log.info("ready", port=toolbox.settings.port)


async def _leave(toolbox: Toolbox, service: Service, runner: web.AppRunner) -> None:
    """Stop accepting, finish what is under way, then send the telemetry of it; each step has its limit."""
    await runner.cleanup()
    await toolbox.tasks.drain(FLUSH_S)
    if service.close is not None:
        await service.close()
    await toolbox.session.close()
    await asyncio.to_thread(toolbox.tracing.flush, FLUSH_S)
