"""HTTP side of inventory."""

import asyncio
from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import ApiError, bad_request, json_answer, not_found
from target_stack.kit.inputs import idempotency_key, is_count, is_sku
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import Toolbox
from target_stack.services.inventory.store import SCHEMA, InventoryStore, Reserved

PRODUCTS_PER_TENANT = 200
MAX_LINES = 20
MAX_QUANTITY = 1000


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.database()
    store = InventoryStore(database)
    keys = keys_of_identity(toolbox)

    async def open_database() -> None:
        await database.open(SCHEMA)
        await store.fill_shelves(toolbox.settings.tenants, PRODUCTS_PER_TENANT)

    async def prepare() -> None:
        await asyncio.gather(open_database(), keys.load())

    async def reserve(request: web.Request) -> web.Response:
        tenant, key = current_caller().tenant, idempotency_key(request)
        outcome = await store.reserve(tenant, key, _parse_quantities(await read_json(request)))
        if outcome is Reserved.OUT_OF_STOCK:
            raise ApiError(409, "out_of_stock", "not enough of at least one product is on the shelf")
        if outcome is Reserved.RELEASED_BEFORE:
            raise ApiError(409, "released_before", "this reservation was released before it came")
        return json_answer({"tenant": tenant, "reservation": key}, status=201)

    async def release(request: web.Request) -> web.Response:
        tenant, key = current_caller().tenant, idempotency_key(request)
        await store.release(tenant, key)
        return json_answer({"tenant": tenant, "released": key})

    async def stock(request: web.Request) -> web.Response:
        tenant, sku = current_caller().tenant, request.match_info["sku"]
        available = await store.available(tenant, sku) if is_sku(sku) else None
        if available is None:
            raise not_found("there is no such product")
        return json_answer({"tenant": tenant, "sku": sku, "available": available})

    routes = (
        Route("POST", "/reservations", reserve, success=201),
        Route("POST", "/reservations/release", release),
        Route("GET", "/stock/{sku}", stock),
    )
    return Service(routes, prepare, database.close, keys, callers=("orders",))


def _parse_quantities(body: Any) -> dict[str, int]:
    quantities = body.get("quantities") if isinstance(body, dict) else None
    if not isinstance(quantities, dict) or not 1 <= len(quantities) <= MAX_LINES:
        raise bad_request(f"quantities must be an object with 1 to {MAX_LINES} products")
    if not all(is_sku(sku) and is_count(count, MAX_QUANTITY) for sku, count in quantities.items()):
        raise bad_request(f"quantities must map products to numbers from 1 to {MAX_QUANTITY}")
    return quantities
