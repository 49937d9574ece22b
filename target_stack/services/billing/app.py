"""HTTP side of billing: the same routes as the monolith's web face, from a store of its own."""

import asyncio
from datetime import UTC, datetime

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import ApiError, json_answer
from target_stack.kit.inputs import idempotency_key, int_parameter, text_parameter
from target_stack.kit.invoices import (
    INVOICES_PATH,
    MAX_PAGE,
    Invoice,
    Page,
    page_json,
    parse_amount,
    parse_cursor,
    usual_due,
)
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import Toolbox
from target_stack.services.billing.acl import LEGACY_TIME
from target_stack.services.billing.monolith import Monolith
from target_stack.services.billing.store import SCHEMA, BillingStore


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.database()
    store = BillingStore(database)
    keys = keys_of_identity(toolbox)
    monolith = Monolith(toolbox, store)

    async def prepare() -> None:
        await asyncio.gather(database.open(SCHEMA), keys.load())
        monolith.start()

    async def close() -> None:
        monolith.close()
        await database.close()

    async def create(request: web.Request) -> web.Response:
        tenant, key = current_caller().tenant, idempotency_key(request)
        amount_cents, currency = parse_amount(await read_json(request))
        await monolith.catch_up(tenant)  # the key may have been used there
        wanted = _new(tenant, key, amount_cents, currency, toolbox.clock.unix_ns() // 1_000_000_000)
        kept = await store.save(wanted)
        if kept.amount_cents != amount_cents:
            raise ApiError(422, "key_reused", "this key belongs to another invoice")
        await monolith.tell(kept)
        return json_answer(kept.as_json(), status=201)

    async def listed(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        since_ns = int_parameter(request, "since", default=0, lowest=0, highest=2**63 - 1)
        limit = int_parameter(request, "limit", default=50, lowest=1, highest=MAX_PAGE)
        page = Page(since_ns // 1_000_000_000, parse_cursor(text_parameter(request, "after")), limit)
        is_whole = await monolith.catch_up(tenant)
        invoices, is_doubtful = await store.page(tenant, page)
        source = "quarantined" if is_doubtful else "billing" if is_whole else "stale"
        return json_answer({**page_json(tenant, invoices, limit), "source": source})

    routes = (
        Route("POST", INVOICES_PATH, create, success=201),
        Route("GET", INVOICES_PATH, listed),
    )
    return Service(routes, prepare, close, keys, callers=("gateway",))


def _new(tenant: str, key: str, amount_cents: int, currency: str, now_s: int) -> Invoice:
    issued_on = datetime.fromtimestamp(now_s, UTC).astimezone(LEGACY_TIME).date()
    return Invoice(tenant, key, amount_cents, currency, "open", now_s, usual_due(issued_on))
