"""HTTP side of notifications; the events come by the broker."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from aiohttp import web

from target_stack.kit.app import Route, Service
from target_stack.kit.broker import Broker
from target_stack.kit.call_context import current_caller
from target_stack.kit.client import Call
from target_stack.kit.consumer import Consumer
from target_stack.kit.consumer_routes import EVENTS_PATH, chain_routes, dead_letter_routes
from target_stack.kit.errors import ApiError, json_answer
from target_stack.kit.inputs import int_parameter
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.notifications.store import SCHEMA, UNFILTERED, NotificationStore

MAX_PAGE = 500
MAX_BIGINT = 2**63 - 1
_CHAIN_PLAN = LinkPlan(attempt_timeout_s=1.0)


def build(toolbox: Toolbox) -> Service:
    """Wire the service; the broker is found at NATS_URL."""
    database = toolbox.database()
    store = NotificationStore(database, toolbox.clock)
    keys = keys_of_identity(toolbox)
    broker = Broker(toolbox.settings.required("NATS_URL"), service=toolbox.settings.service, log=toolbox.log)
    consumer = Consumer(broker, toolbox, store.apply)

    async def prepare() -> None:
        filters = toolbox.is_on(Protection.TENANT_FILTER)
        await asyncio.gather(database.open(SCHEMA if filters else SCHEMA + UNFILTERED), keys.load())
        consumer.start()

    async def close() -> None:
        await consumer.close()
        await database.close()

    async def list_notifications(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        since_ns = int_parameter(request, "since", default=0, lowest=0, highest=MAX_BIGINT)
        after = int_parameter(request, "after", default=0, lowest=0, highest=MAX_BIGINT)
        limit = int_parameter(request, "limit", default=50, lowest=1, highest=MAX_PAGE)
        found = await store.list_since(tenant, since_ns, after, limit)
        following = str(found[-1].number) if len(found) == limit else None
        sent = [dataclasses.asdict(each) for each in found]
        return json_answer({"tenant": tenant, "notifications": sent, "next": following})

    routes = (
        Route("GET", "/notifications", list_notifications),
        *dead_letter_routes(consumer),
        *chain_routes(toolbox, store.apply, _next_in_chain(toolbox)),
    )
    return Service(routes, prepare, close, keys, callers=("gateway", "orders"))


def _next_in_chain(toolbox: Toolbox) -> Callable[[bytes], Awaitable[None]] | None:
    """Return the call to insights that follows where events are calls; there is no such link in ordinary operation."""
    url = toolbox.settings.environment.get("INSIGHTS_URL")
    if not toolbox.settings.protections.proving or not url:
        return None
    insights = toolbox.client("insights", url, _CHAIN_PLAN)

    async def call(body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        answer = await insights.call(
            Call("POST", EVENTS_PATH, EVENTS_PATH, body=body, headers=headers, idempotent=True)
        )
        if answer.status != 200:
            raise ApiError(503, "insights_unavailable", "insights is not available now", retry_after_s=1.0)

    return call
