"""The routes of the platform as outsiders see them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from target_stack.kit.app import Handler, Route, Service
from target_stack.kit.auth import TENANT_ADMIN, TENANT_USER
from target_stack.kit.call_context import CallContext, current_caller, current_context, set_context
from target_stack.kit.client import ServiceClient
from target_stack.kit.errors import json_answer
from target_stack.kit.flags import flags_of_platform
from target_stack.kit.invoices import INVOICES_PATH
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.gateway.admission import Admission
from target_stack.services.gateway.forward import LAST_RESORT, forward
from target_stack.services.gateway.strangler import Strangler
from target_stack.services.gateway.versions import Versions

_PLAN = LinkPlan(attempt_timeout_s=15.0)  # what really bounds a call is the deadline of its route
_CHECKOUT_S = 1.5
_OTHER_S = 0.8

Way = Callable[[web.Request, str, float], Awaitable[web.Response]]
"""How a request is passed on: the request, its route, and the seconds that it may take."""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """One operation that outsiders may call, and the service that answers it within the budget."""

    method: str
    path: str
    callee: str
    budget_s: float = _OTHER_S
    role: str | None = TENANT_USER
    success: int = 200


_ROUTES = (
    PublicRoute("POST", "/identity/token", "identity", role=None),
    PublicRoute("GET", "/identity/users", "identity", role=TENANT_ADMIN),
    PublicRoute("GET", "/catalog/products", "catalog"),
    PublicRoute("GET", "/catalog/products/{sku}", "catalog"),
    PublicRoute("GET", "/catalog/products/{sku}/history", "catalog"),
    PublicRoute("POST", "/orders", "orders", budget_s=_CHECKOUT_S, success=201),
    PublicRoute("GET", "/orders", "orders"),
    PublicRoute("GET", "/orders/{id}", "orders"),
    PublicRoute("GET", "/insights/summary", "insights"),
    PublicRoute("GET", "/notifications", "notifications"),
    PublicRoute("GET", "/payments", "payments"),
    PublicRoute("GET", INVOICES_PATH, "billing"),
    PublicRoute("POST", INVOICES_PATH, "billing", success=201),
)


def build(toolbox: Toolbox) -> Service:
    """Wire the service; callees are found at IDENTITY_URL, CATALOG_URL and so on."""
    keys = keys_of_identity(toolbox)
    admission = Admission(toolbox)
    flags = flags_of_platform(toolbox)
    clients = {
        name: toolbox.client(name, toolbox.settings.required(f"{name.upper()}_URL"), _PLAN)
        for name in ("identity", "catalog", "orders", "insights", "notifications", "payments")
    }
    versions, strangler = Versions(toolbox, flags, clients["catalog"]), Strangler(toolbox, flags)
    ways: dict[str, Way] = {name: _way_to(client) for name, client in clients.items()}
    ways |= {"catalog": versions.forward, "billing": strangler.forward}
    routes = [_route(public, ways[public.callee], admission) for public in _ROUTES]

    async def prepare() -> None:
        await asyncio.gather(keys.load(), flags.start(), versions.start())

    async def close() -> None:
        await versions.close()
        await flags.close()

    return Service([*routes, Route("GET", "/me", _me)], prepare, close, keys, edge=True)


def _way_to(client: ServiceClient) -> Way:
    return lambda request, route, budget_s: forward(request, route, client, budget_s)


async def _me(_request: web.Request) -> web.Response:
    """Answer whom the gateway takes the caller for."""
    caller = current_caller()
    return json_answer({"tenant": caller.tenant, "subject": caller.subject, "roles": sorted(caller.roles)})


def _route(public: PublicRoute, way: Way, admission: Admission) -> Route:
    handler = _open_handler(public, way, admission) if public.role is None else _handler(public, way, admission)
    deadline_s = public.budget_s * LAST_RESORT
    return Route(public.method, public.path, handler, public.role, public.success, deadline_s)


def _handler(public: PublicRoute, way: Way, admission: Admission) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        tenant = current_caller().tenant
        admission.check_rate(tenant)
        async with admission.place(tenant):
            return await way(request, public.path, public.budget_s)

    return handle


def _open_handler(public: PublicRoute, way: Way, admission: Admission) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        tenant = _named_tenant(body)
        known = admission.check_login_rate(tenant, request.remote or "", body)
        context = current_context()
        if context is not None and known:
            set_context(CallContext(context.deadline, named_tenant=tenant))
        answer = await way(request, public.path, public.budget_s)
        if known and answer.status == public.success:
            admission.remember_login(body)
        return answer

    return handle


def _named_tenant(body: bytes) -> str:
    """Return the tenant that a login names, "" when it names none: identity will tell the client what is wrong."""
    try:
        named = json.loads(body).get("tenant")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return named if isinstance(named, str) else ""
