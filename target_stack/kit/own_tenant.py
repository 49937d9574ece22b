"""A request may name its own tenant and no other: in a header, the path, the query or the body."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from target_stack.kit.call_context import TENANT_HEADER
from target_stack.kit.errors import ApiError

_NAMES = ("tenant", "tenant_id")


def check_request(request: web.Request, tenant: str) -> None:
    """Raise the 403 when header, path or query of *request* name another tenant than *tenant*."""
    for named in _named_in(request):
        _check(named, tenant)


def check_body(body: Any, tenant: str) -> None:
    """Raise the 403 when the parsed *body* names another tenant."""
    if isinstance(body, dict):
        for name in _NAMES:
            if name in body:
                _check(body[name], tenant)


def _named_in(request: web.Request) -> Iterator[str]:
    yield from request.headers.getall(TENANT_HEADER, ())
    for name in _NAMES:
        if name in request.match_info:
            yield request.match_info[name]
        yield from request.query.getall(name, ())


def _check(named: object, tenant: str) -> None:
    if named != tenant:
        raise ApiError(403, "tenant_mismatch", f"the token is one of tenant {tenant!r}, the request names another")
