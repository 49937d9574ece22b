"""HTTP side of catalog."""

import asyncio
import dataclasses
from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service
from target_stack.kit.call_context import current_caller
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.errors import STALE_HEADER, json_answer, not_found
from target_stack.kit.inputs import int_parameter, is_sku, text_parameter
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.protections import Protection
from target_stack.kit.stale_cache import CacheFlaws, Remembered, StaleCache
from target_stack.kit.table_scans import TableScans
from target_stack.kit.toolbox import Toolbox
from target_stack.services.catalog.small_customers import pool_script
from target_stack.services.catalog.store import RELATIONS, SCHEMA, CatalogStore, Product

MAX_PAGE = 100
SIMILAR = 10
CHANGES = 20
SEED_WITHIN_S = 5.0
SEED_AGAIN_S = 0.5


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.tenant_database(RELATIONS)
    store = CatalogStore(database)
    keys = keys_of_identity(toolbox)
    flaws = _cache_flaws(toolbox)
    lists: StaleCache[list[Product]] = StaleCache(flaws=flaws, clock=toolbox.clock)
    found: StaleCache[Product | None] = StaleCache(flaws=flaws, clock=toolbox.clock)
    scans = TableScans(toolbox.metrics.registry, store.table_scans, toolbox.clock)
    guide = toolbox.tenant_guide(database)
    background: list[asyncio.Task[None]] = []

    async def seed(tenant: str) -> None:
        while True:
            try:
                return await store.seed([tenant])
            except (DatabaseUnavailableError, DeadlineExceededError) as error:
                toolbox.log.warning("a tenant's products cannot be seen to yet", tenant=tenant, error=str(error))
            await asyncio.sleep(SEED_AGAIN_S)

    async def seed_all() -> None:
        """Seed each tenant apart: one whose own database is away must not keep the others waiting for the service."""
        seeding = [asyncio.create_task(seed(tenant), name=f"seed {tenant}") for tenant in toolbox.settings.tenants]
        done, late = await asyncio.wait(seeding, timeout=SEED_WITHIN_S)
        for task in done:
            task.result()
        background.extend(late)

    async def open_database() -> None:
        await database.open(SCHEMA, pool=pool_script())
        await seed_all()
        background.append(asyncio.create_task(scans.run(), name="table scans"))
        background.append(asyncio.create_task(guide.run(), name="tenant guide"))

    async def prepare() -> None:
        await asyncio.gather(open_database(), keys.load())

    async def close() -> None:
        for task in background:
            task.cancel()
        await database.close()

    async def products(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        limit = int_parameter(request, "limit", default=20, lowest=1, highest=MAX_PAGE)
        after = text_parameter(request, "after")
        listed = await lists.ask(tenant, f"{limit}:{after}", lambda: store.list_products(tenant, after, limit))
        following = listed.value[-1].sku if len(listed.value) == limit else None
        body = {"tenant": tenant, "products": [dataclasses.asdict(each) for each in listed.value], "next": following}
        return _marked(body, listed)

    async def product(request: web.Request) -> web.Response:
        tenant, sku = current_caller().tenant, _sku(request)
        known = await found.ask(tenant, sku, lambda: store.find_product(tenant, sku))
        if known.value is None:
            raise _no_product()
        return _marked(dataclasses.asdict(known.value), known)

    async def history(request: web.Request) -> web.Response:
        tenant, sku = current_caller().tenant, _sku(request)
        try:
            changes = await store.price_changes(tenant, sku, SIMILAR, CHANGES)
        except DatabaseUnavailableError:
            if toolbox.is_on(Protection.HONEST_ERRORS):
                raise
            return json_answer({"tenant": tenant, "sku": sku, "changes": []})
        if not any(change.sku == sku for change in changes):
            raise _no_product()
        return json_answer({"tenant": tenant, "sku": sku, "changes": [dataclasses.asdict(each) for each in changes]})

    routes = (
        Route("GET", "/catalog/products", products),
        Route("GET", "/catalog/products/{sku}", product),
        Route("GET", "/catalog/products/{sku}/history", history),
    )
    return Service(routes, prepare, close, keys, callers=("gateway", "orders"))


def _sku(request: web.Request) -> str:
    sku = request.match_info["sku"]
    if not is_sku(sku):
        raise _no_product()
    return sku


def _no_product() -> Exception:
    return not_found("there is no such product")


def _marked(body: dict[str, Any], answer: Remembered[Any]) -> web.Response:
    """An answer of before says so, to programs and to proxies."""
    if not answer.stale:
        return json_answer(body)
    return json_answer({**body, "stale": True}, headers={STALE_HEADER: "true"})


def _cache_flaws(toolbox: Toolbox) -> CacheFlaws:
    return CacheFlaws(
        forgets=not toolbox.is_on(Protection.STALE_ANSWERS),
        denies_age=not toolbox.is_on(Protection.STALE_MARK),
        shares=not (toolbox.is_on(Protection.TENANT_ISOLATION) and toolbox.is_on(Protection.STALE_TENANT)),
    )
