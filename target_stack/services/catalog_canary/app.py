"""Catalog's own routes, with the defect that the flag catalog.canary.defect asks for: errors, slow, wrong or none."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from target_stack.kit.app import Handler, Service
from target_stack.kit.errors import ApiError, json_answer
from target_stack.kit.flags import Flags, flags_of_platform
from target_stack.kit.toolbox import Toolbox
from target_stack.services.catalog.app import build as build_catalog

DEFECT_FLAG = "catalog.canary.defect"
SLOW_S = 0.25


def build(toolbox: Toolbox) -> Service:
    """Wire catalog, with a defect on every route."""
    catalog = build_catalog(toolbox)
    flags = flags_of_platform(toolbox)

    async def prepare() -> None:
        await asyncio.gather(catalog.prepare(), flags.start())

    async def close() -> None:
        await flags.close()
        if catalog.close is not None:
            await catalog.close()

    routes = [replace(route, handler=_defective(route.handler, flags)) for route in catalog.routes]
    return replace(catalog, routes=routes, prepare=prepare, close=close)


def _defective(handler: Handler, flags: Flags) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        defect = DEFECTS.get(flags.text(DEFECT_FLAG, default="none"))
        return await (handler(request) if defect is None else defect(handler, request))

    return handle


async def _errors(_handler: Handler, _request: web.Request) -> web.StreamResponse:
    raise ApiError(500, "internal_error", "the new version made a mistake")


async def _slow(handler: Handler, request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(SLOW_S)
    return await handler(request)


async def _wrong(handler: Handler, request: web.Request) -> web.StreamResponse:
    answer = await handler(request)
    if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    return json_answer(_with_wrong_prices(json.loads(answer.body)), status=answer.status)


def _with_wrong_prices(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_wrong_prices(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: each + 1 if name == "price_cents" else _with_wrong_prices(each) for name, each in value.items()}


DEFECTS: dict[str, Callable[[Handler, web.Request], Awaitable[web.StreamResponse]]] = {
    "errors": _errors,
    "slow": _slow,
    "wrong": _wrong,
}
