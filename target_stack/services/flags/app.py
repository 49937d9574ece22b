"""HTTP side of the flags: services follow them over mutual TLS, operators set them at a port of their own."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.errors import ApiError, bad_request, error_answer, json_answer, not_found
from target_stack.kit.flags import FLAGS_PATH, HOLD_S
from target_stack.kit.toolbox import Toolbox
from target_stack.services.flags.book import FlagBook, FlagValueError, UnknownFlagError

FOLLOWERS = ("gateway", "catalog", "catalog-canary", "orders", "release", "billing", "legacy")


class FlagDesk:
    """Answers about flags, and tells those who wait of every change."""

    def __init__(self, book: FlagBook, tenants: frozenset[str]) -> None:
        self._book = book
        self._tenants = tenants
        self._changed = asyncio.Condition()

    async def follow(self, request: web.Request) -> web.Response:
        """Answer with all flags, at once when the caller's are others, else with the next change or after a while."""
        since = request.query.get("since", "")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_S), self._changed:
                await self._changed.wait_for(lambda: self._book.revision != since)
        return json_answer(self._book.document())

    async def read(self, request: web.Request) -> web.Response:
        """Answer with what was set, for everybody or for ?tenant=."""
        name, tenant = request.match_info["flag"], request.query.get("tenant") or None
        try:
            value = self._book.read(name, tenant)
        except UnknownFlagError:
            raise not_found("there is no such flag") from None
        return json_answer({"flag": name, "value": value, "revision": self._book.revision})

    async def write(self, request: web.Request) -> web.Response:
        """Set a flag."""
        name = request.match_info["flag"]
        body = await read_json(request)
        tenant = self._tenant(body)
        try:
            self._book.write(name, body["value"], tenant)
        except UnknownFlagError:
            raise not_found("there is no such flag") from None
        except FlagValueError as error:
            raise bad_request(str(error)) from None
        async with self._changed:
            self._changed.notify_all()
        return json_answer({"flag": name, "value": self._book.read(name, tenant), "revision": self._book.revision})

    def _tenant(self, body: Any) -> str | None:
        if not isinstance(body, dict) or "value" not in body:
            raise bad_request('expected {"value": …} and, for one tenant alone, "tenant"')
        tenant = body.get("tenant") or None
        if tenant is not None and tenant not in self._tenants:
            raise bad_request("tenant must be one of the platform's")
        return tenant


class OperatorPort:
    """A plain port at which operators, and whoever tries the platform, read and set flags; OPERATOR_PORT opens it."""

    def __init__(self, toolbox: Toolbox, desk: FlagDesk) -> None:
        self._settings = toolbox.settings
        app = web.Application(middlewares=[_answering_errors])
        app.router.add_get(f"{FLAGS_PATH}/{{flag}}", desk.read)
        app.router.add_put(f"{FLAGS_PATH}/{{flag}}", desk.write)
        self._runner = web.AppRunner(app, access_log=None)

    async def open(self) -> None:
        """Listen, where there is a port for it."""
        port = self._settings.environment.get("OPERATOR_PORT")
        if port:
            await self._runner.setup()
            await web.TCPSite(self._runner, self._settings.host, int(port)).start()

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()


def build(toolbox: Toolbox) -> Service:
    """Wire the service; with FLAGS_STORE, a folder, the flags outlive it."""
    folder = toolbox.settings.environment.get("FLAGS_STORE")
    desk = FlagDesk(FlagBook(Path(folder) if folder else None), frozenset(toolbox.settings.tenants))
    operators = OperatorPort(toolbox, desk)
    routes = (
        Route("GET", FLAGS_PATH, desk.follow, role=None, deadline_s=HOLD_S * 3, callers=FOLLOWERS),
        Route("GET", f"{FLAGS_PATH}/{{flag}}", desk.read, role=None, callers=FOLLOWERS),
        Route("PUT", f"{FLAGS_PATH}/{{flag}}", desk.write, role=None, callers=("release", "operator")),
    )
    return Service(routes, operators.open, operators.close)


@web.middleware
async def _answering_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except ApiError as error:
        return error_answer(error)
    return answer
