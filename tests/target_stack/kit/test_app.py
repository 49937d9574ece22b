"""The door fails closed."""

import asyncio
import io

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from target_stack.kit.app import Route, Service, make_app
from target_stack.kit.background import BackgroundTasks
from target_stack.kit.clock import SystemClock
from target_stack.kit.errors import json_answer
from target_stack.kit.keys import KeyRing, KeysUnavailableError
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.protections import Protections
from target_stack.kit.recorder import Recorder
from target_stack.kit.settings import Settings
from target_stack.kit.telemetry import Tracing
from target_stack.kit.toolbox import Toolbox, open_session

CLOCK = SystemClock()
SETTINGS = Settings("svc", "127.0.0.1", 0, None, {}, Protections(), {})


async def no_keys() -> bytes:
    raise KeysUnavailableError


async def fine(_request: web.Request) -> web.Response:
    return json_answer({"fine": True})


async def broken(_request: web.Request) -> web.Response:
    raise ZeroDivisionError("a secret detail")


async def nothing() -> None:
    pass


def ask(path: str, *routes: Route, ready: bool = True, unknown_route: str | None = None):
    """Return status, JSON body and log of one GET request."""

    async def story():
        lines, tracing, metrics = io.StringIO(), Tracing("svc", None), Metrics()
        log = Log("svc", CLOCK, lines)
        toolbox = Toolbox(
            SETTINGS, CLOCK, log, tracing, metrics, Recorder(tracing, metrics), BackgroundTasks(log), open_session()
        )
        app, door = make_app(toolbox, Service(routes, nothing, keys=KeyRing(no_keys, CLOCK)))
        door.ready = ready
        if unknown_route:
            app.router.add_get(unknown_route, fine)
        async with TestClient(TestServer(app)) as client:
            response = await client.get(path)
            body = await response.json()
        await toolbox.session.close()
        return response.status, body, lines.getvalue()

    return asyncio.run(story())


def test_a_route_needs_a_token_unless_it_is_declared_open():
    routes = (Route("GET", "/closed", fine), Route("GET", "/open", fine, role=None))
    assert ask("/closed", *routes)[0] == 401
    assert ask("/open", *routes)[0] == 200


def test_a_route_that_the_door_was_not_told_of_does_not_slip_through():
    status, body, _ = ask("/sneaky", unknown_route="/sneaky")
    assert (status, body["error"]) == (500, "internal_error")


def test_an_unexpected_error_is_logged_and_not_told():
    status, body, log = ask("/broken", Route("GET", "/broken", broken, role=None))
    assert (status, body["error"]) == (500, "internal_error")
    assert "a secret detail" not in str(body)
    assert "a secret detail" in log


def test_before_it_is_ready_a_service_says_so():
    status, body, _ = ask("/open", Route("GET", "/open", fine, role=None), ready=False)
    assert (status, body["error"]) == (503, "starting")
    assert ask("/health/ready", ready=False)[0] == 503
    assert ask("/health/live", ready=False)[0] == 200
