"""HTTP side of catalog."""

import asyncio
import dataclasses

from aiohttp import web

from target_stack.kit.app import Route, Service
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import json_answer, not_found
from target_stack.kit.inputs import int_parameter, is_sku, text_parameter
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import Toolbox
from target_stack.services.catalog.store import SCHEMA, CatalogStore

MAX_PAGE = 100


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.database()
    store = CatalogStore(database)
    keys = keys_of_identity(toolbox)

    async def open_database() -> None:
        await database.open(SCHEMA)
        await store.seed(toolbox.settings.tenants)

    async def prepare() -> None:
        await asyncio.gather(open_database(), keys.load())

    async def products(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        limit = int_parameter(request, "limit", default=20, lowest=1, highest=MAX_PAGE)
        found = await store.list_products(tenant, text_parameter(request, "after"), limit)
        following = found[-1].sku if len(found) == limit else None
        body = {"tenant": tenant, "products": [dataclasses.asdict(each) for each in found], "next": following}
        return json_answer(body)

    async def product(request: web.Request) -> web.Response:
        sku = request.match_info["sku"]
        found = await store.find_product(current_caller().tenant, sku) if is_sku(sku) else None
        if found is None:
            raise not_found("there is no such product")
        return json_answer(dataclasses.asdict(found))

    routes = (
        Route("GET", "/catalog/products", products),
        Route("GET", "/catalog/products/{sku}", product),
    )
    return Service(routes, prepare, database.close, keys, callers=("gateway", "orders"))
