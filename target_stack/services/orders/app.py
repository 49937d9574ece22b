"""HTTP side of orders."""

import asyncio
import dataclasses
import hashlib
import json
import re
from typing import Any

from aiohttp import web

from target_stack.kit import outbox
from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.auth import TENANT_ADMIN
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import bad_request, json_answer, not_found
from target_stack.kit.flags import flags_of_platform
from target_stack.kit.inputs import cursor_parameter, idempotency_key, int_parameter, is_count, is_sku
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.protections import Protection
from target_stack.kit.tenant_wishes import TENANCY_FLAG, wish_of_flag
from target_stack.kit.toolbox import Toolbox
from target_stack.services.orders.callees import make_callees
from target_stack.services.orders.domain import OrderDesk
from target_stack.services.orders.extras import Extras, come_so_far
from target_stack.services.orders.post import Post
from target_stack.services.orders.store import RELATIONS, SCHEMA, Order, OrderStore, Wish

MAX_LINES = 20
MAX_QUANTITY = 1000
MAX_PAGE = 500
MAX_BIGINT = 2**63 - 1
_ORDER_ID = re.compile(r"ord-[0-9a-f]{32}")


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.tenant_database(RELATIONS)
    flags = flags_of_platform(toolbox)
    guide = toolbox.tenant_guide(
        database, lambda tenant: wish_of_flag(flags.text(TENANCY_FLAG, default="", tenant=tenant))
    )
    guiding: list[asyncio.Task[None]] = []
    post = Post(toolbox, database)
    admits_failures = toolbox.is_on(Protection.WRITE_ERRORS)
    store = OrderStore(database, post.announcer, toolbox.clock, admits_failures=admits_failures)
    keys = keys_of_identity(toolbox)
    extras = Extras(toolbox)
    undoes = toolbox.is_on(Protection.COMPENSATION)
    desk = OrderDesk(store, make_callees(toolbox), post.announcer, toolbox.tasks, toolbox.clock, undoes=undoes)

    async def prepare() -> None:
        await asyncio.gather(database.open(SCHEMA + outbox.SCHEMA), keys.load(), flags.start())
        post.start()
        guiding.append(asyncio.create_task(guide.run(), name="tenant guide"))

    async def close() -> None:
        for task in guiding:
            task.cancel()
        await flags.close()
        await post.close()
        await database.close()

    async def place(request: web.Request) -> web.Response:
        wish = _parse_wish(current_caller().tenant, idempotency_key(request), await read_json(request))
        async with extras.beside([sku for sku, _ in wish.quantities]) as asked:
            order = await desk.place(wish)
            return json_answer({**dataclasses.asdict(order), "recommended": come_so_far(asked)}, status=201)

    async def list_orders(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        since_ns = int_parameter(request, "since", default=0, lowest=0, highest=MAX_BIGINT)
        limit = int_parameter(request, "limit", default=50, lowest=1, highest=MAX_PAGE)
        after = cursor_parameter(request, "after")
        found = await store.list_since(tenant, since_ns, after, limit)
        following = _cursor(found[-1]) if len(found) == limit else None
        return json_answer(
            {"tenant": tenant, "orders": [dataclasses.asdict(each) for each in found], "next": following}
        )

    async def find(request: web.Request) -> web.Response:
        order_id = request.match_info["id"]
        found = await store.find(current_caller().tenant, order_id) if _ORDER_ID.fullmatch(order_id) else None
        if found is None:
            raise not_found("there is no such order")
        return json_answer(dataclasses.asdict(found))

    async def parked(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        return json_answer({"tenant": tenant, "parked": await post.relay.parked(tenant)})

    async def release(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        return json_answer({"tenant": tenant, "released": await post.relay.release(tenant)})

    routes = (
        Route("GET", "/outbox/parked", parked, TENANT_ADMIN),
        Route("POST", "/outbox/parked/release", release, TENANT_ADMIN),
        Route("POST", "/orders", place, success=201),
        Route("GET", "/orders", list_orders, callers=("gateway", "insights")),
        Route("GET", "/orders/{id}", find),
    )
    return Service(routes, prepare, close, keys, callers=("gateway",))


def _parse_wish(tenant: str, key: str, body: Any) -> Wish:
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_LINES:
        raise bad_request(f"items must be a list of 1 to {MAX_LINES} positions")
    quantities = tuple(sorted(_parse_item(item) for item in items))
    if len({sku for sku, _ in quantities}) < len(quantities):
        raise bad_request("each product may stand in one position only")
    fingerprint = hashlib.sha256(json.dumps(quantities).encode()).hexdigest()
    return Wish(tenant, key, quantities, fingerprint)


def _parse_item(item: Any) -> tuple[str, int]:
    if not isinstance(item, dict) or not is_sku(item.get("sku")) or not is_count(item.get("quantity"), MAX_QUANTITY):
        raise bad_request(f"each item needs a sku and a quantity from 1 to {MAX_QUANTITY}")
    return item["sku"], item["quantity"]


def _cursor(order: Order) -> str:
    return f"{order.created_ns}.{order.id}"
