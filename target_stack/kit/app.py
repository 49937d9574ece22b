"""The door of a service: routes, health, metrics, and what happens to every request before its handler runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from target_stack.kit.auth import TENANT_USER
from target_stack.kit.call_context import CallContext, current_context, current_tenant, set_context
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DEADLINE_HEADER, Deadline, DeadlineExceededError, parse_remaining_ms
from target_stack.kit.doorkeeper import Doorkeeper
from target_stack.kit.errors import (
    ApiError,
    bad_request,
    current_trace_id,
    deadline_exceeded,
    error_answer,
    json_answer,
)
from target_stack.kit.keys import KeyRing
from target_stack.kit.own_tenant import check_body
from target_stack.kit.protections import Protection
from target_stack.kit.telemetry import Attributes, mark_failed
from target_stack.kit.toolbox import Toolbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY_BYTES = 256 * 1024
CLIENT_WENT_AWAY = 499
UNMATCHED = "unmatched"
_MANAGEMENT = ("/health/live", "/health/ready", "/metrics")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation; `role` None leaves it open to anyone, `deadline_s` holds where the caller sent none.

    `callers` are the services whose certificate opens it; without any, those that the service names for all its routes.
    """

    method: str
    path: str
    handler: Handler
    role: str | None = TENANT_USER
    success: int = 200
    deadline_s: float = 10.0
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """What a service adds to the kit; `prepare` runs until the service can serve."""

    routes: Sequence[Route]
    prepare: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]] | None = None
    keys: KeyRing | None = None
    edge: bool = False  # callers are outsiders: their deadline does not count, each request is worth a log line
    callers: tuple[str, ...] = ()  # the services that may call here; nobody may where this and the route name nobody


class Door:
    """Traces, times, admits and answers each request."""

    def __init__(self, toolbox: Toolbox, service: Service) -> None:
        self._toolbox = toolbox
        self._service = service
        self._doorkeeper = Doorkeeper(toolbox, service.keys, edge=service.edge)
        self._routes = {(route.method, route.path): route for route in service.routes}
        self.ready = False
        tenants = toolbox.settings.tenants if service.keys is not None else [""]
        for route in service.routes:
            toolbox.metrics.know_route(route.path, route.method, route.success, tenants)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer *request*; nothing but cancellation gets past."""
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else UNMATCHED
        if path in _MANAGEMENT:
            return await handler(request)
        deadline = self._deadline_of(request, self._routes.get((request.method, path)))
        set_context(CallContext(deadline))
        attributes: Attributes = {"http.request.method": request.method, "http.route": path}
        remaining_ms = deadline.remaining_ms()
        if remaining_ms is not None:
            attributes["resilience.deadline.remaining_ms"] = remaining_ms
        with self._toolbox.tracing.server_span(f"{request.method} {path}", request.headers, attributes) as span:
            async with self._recorded(request, path) as outcome:
                response = await self._answer(request, handler, path, deadline)
                outcome.status = response.status
                span.set_attribute("http.response.status_code", response.status)
                span.set_attribute("tenant.id", self._told_tenant())
                if response.status >= 500:
                    mark_failed(span, str(response.status))
                self._doorkeeper.end_with_certificate(request, response)
                return response

    async def live(self, _request: web.Request) -> web.Response:
        """Answer 200 for as long as the process runs."""
        return json_answer({"status": "live"})

    async def is_ready(self, _request: web.Request) -> web.Response:
        """Answer 200 from the moment when the service could serve for the first time."""
        if self.ready:
            return json_answer({"status": "ready"})
        return json_answer({"status": "starting", "reason": "waiting for database, schema or keys"}, status=503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with all series."""
        body, content_type = self._toolbox.metrics.expose(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _answer(
        self, request: web.Request, handler: Handler, path: str, deadline: Deadline
    ) -> web.StreamResponse:
        try:
            return await self._within_deadline(request, handler, path, deadline)
        except ApiError as error:
            return self._error(error)
        except DeadlineExceededError:
            self._toolbox.recorder.deadline_exceeded(path)
            return self._error(deadline_exceeded())
        except DatabaseUnavailableError as error:
            message = "the service's database is not available"
            self._toolbox.log.warning(message, error=str(error))
            return self._error(ApiError(503, "database_unavailable", message, retry_after_s=error.retry_after_s))
        except web.HTTPException as error:
            return self._error(_as_api_error(error))
        except Exception as error:  # the last line of defence: log it, answer without details
            self._toolbox.log.exception("unhandled error", error, route=path)
            return self._error(ApiError(500, "internal_error", "the service made a mistake; it has been logged"))

    async def _within_deadline(
        self, request: web.Request, handler: Handler, path: str, deadline: Deadline
    ) -> web.StreamResponse:
        if not self.ready:
            raise ApiError(503, "starting", "the service is starting", retry_after_s=1.0)
        remaining_s = None if deadline.remaining_ms() is None else deadline.remaining_s()
        try:
            async with asyncio.timeout(remaining_s):
                await self._admit(request, path, deadline)
                return await handler(request)
        except TimeoutError:
            raise DeadlineExceededError from None

    async def _admit(self, request: web.Request, path: str, deadline: Deadline) -> None:
        if path == UNMATCHED:
            return  # the router's own 404 or 405 follows
        route = self._routes[request.method, path]  # a route that the door does not know must fail, not slip through
        callers = route.callers or self._service.callers
        await self._doorkeeper.admit(request, deadline, role=route.role, callers=callers)

    def _deadline_of(self, request: web.Request, route: Route | None) -> Deadline:
        if not self._toolbox.is_on(Protection.DEADLINE):
            return Deadline.unlimited(self._toolbox.clock)
        told_s = None if self._service.edge else parse_remaining_ms(request.headers.get(DEADLINE_HEADER))
        usual_s = route.deadline_s if route is not None else 10.0
        return Deadline.after(usual_s if told_s is None else told_s * self._toolbox.patience, self._toolbox.clock)

    def _error(self, error: ApiError) -> web.Response:
        self._doorkeeper.note(error)
        if error.status >= 500 and not self._service.edge:
            self._toolbox.log.warning(error.message, error=error.code, status=error.status)
        if not self._toolbox.is_on(Protection.ERROR_HANDLER):
            raise LookupError("there is no text for this error")
        response = error_answer(error)
        if error.status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return response

    @asynccontextmanager
    async def _recorded(self, request: web.Request, path: str) -> AsyncIterator["Outcome"]:
        outcome = Outcome()
        started_s = self._toolbox.clock.monotonic_s()
        try:
            yield outcome
        finally:
            self._record(request, path, outcome.status, self._toolbox.clock.monotonic_s() - started_s)

    def _told_tenant(self) -> str:
        """Return the tenant that metrics and spans name."""
        return current_tenant() if self._toolbox.is_on(Protection.TENANT_TELEMETRY) else ""

    def _record(self, request: web.Request, path: str, status: int, duration_s: float) -> None:
        tenant = self._told_tenant()
        metrics = self._toolbox.metrics
        metrics.requests.labels(path, request.method, str(status), tenant).inc()
        metrics.request_duration.labels(path, tenant).observe(duration_s, {"trace_id": current_trace_id()})
        if self._service.edge and self._toolbox.is_on(Protection.ACCESS_LOG):
            fields = {"method": request.method, "route": path, "status": status}
            self._toolbox.log.info("request", duration_ms=round(duration_s * 1000, 2), **fields)


@dataclass(slots=True)
class Outcome:
    """The status of an answer; that of a client who went away until there is one."""

    status: int = CLIENT_WENT_AWAY


def make_app(toolbox: Toolbox, service: Service) -> tuple[web.Application, Door]:
    """Return the application and the door that opens once `door.ready` is set."""
    door = Door(toolbox, service)
    app = web.Application(middlewares=[door.middleware], client_max_size=MAX_BODY_BYTES)
    if toolbox.settings.admin_port is None:
        _add_management(app, door)
    for route in service.routes:
        app.router.add_route(route.method, route.path, route.handler)
    return app, door


def make_management_app(door: Door) -> web.Application:
    """Return what the management port serves: health and metrics, and nothing else."""
    app = web.Application()
    _add_management(app, door)
    return app


def _add_management(app: web.Application, door: Door) -> None:
    for path, answer in zip(_MANAGEMENT, (door.live, door.is_ready, door.metrics), strict=True):
        app.router.add_get(path, answer)


async def read_json(request: web.Request) -> Any:
    """Return the parsed body; raise the 400 when it is no JSON, the 403 when it names another tenant."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise bad_request("the body is not valid JSON") from None
    context = current_context()
    if context is not None and context.caller is not None and context.own_tenant_only:
        check_body(body, context.caller.tenant)
    return body


def _as_api_error(error: web.HTTPException) -> ApiError:
    codes = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
    return ApiError(error.status, codes.get(error.status, "bad_request"), error.reason)
