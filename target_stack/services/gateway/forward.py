"""Passing a request on and its answer back, with the deadline that the request has from its arrival."""

from collections.abc import Mapping

from aiohttp import hdrs, web

from target_stack.kit.call_context import current_context
from target_stack.kit.client import Answer, Call, LinkError, ServiceClient
from target_stack.kit.deadline import Deadline
from target_stack.kit.errors import STALE_HEADER, ApiError
from target_stack.kit.inputs import IDEMPOTENCY_KEY_HEADER

LAST_RESORT = 3
"""The services keep the deadline themselves; the gateway cuts off only what takes this many times as long."""
_PASSED_ON = (hdrs.CONTENT_TYPE, hdrs.ACCEPT, IDEMPOTENCY_KEY_HEADER)
_PASSED_BACK = (hdrs.CONTENT_TYPE, hdrs.RETRY_AFTER, hdrs.CACHE_CONTROL, hdrs.WWW_AUTHENTICATE, STALE_HEADER)


async def forward(request: web.Request, route: str, client: ServiceClient, budget_s: float) -> web.Response:
    """Return the callee's answer; raise the 502 when it is out of reach, the 504 when it overslept the last resort."""
    call = await call_of(request, route, budget_s)
    try:
        return _passed_back(await client.call(call))
    except LinkError as failure:
        if failure.error_type == "timeout":
            raise ApiError(504, "deadline_exceeded", "the service did not answer in time", retry_after_s=1.0) from None
        raise ApiError(502, "service_unreachable", "the service is out of reach", retry_after_s=1.0) from None


async def call_of(request: web.Request, route: str, budget_s: float) -> Call:
    """Return the call that passes *request* on."""
    return Call(
        method=request.method,
        path=request.rel_url.raw_path_qs,
        route=route,
        body=await request.read() or None,
        headers=_picked(request.headers, _PASSED_ON),
        deadline=_deadline(budget_s),
    )


def _deadline(budget_s: float) -> Deadline | None:
    """Return the deadline that the services are told: the budget, counted like the last resort from the arrival."""
    context = current_context()
    if context is None:
        return None
    return Deadline(context.deadline.expires_s - (LAST_RESORT - 1) * budget_s, context.deadline.clock)


def _passed_back(answer: Answer) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, headers=_picked(answer.headers, _PASSED_BACK))


def _picked(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}
