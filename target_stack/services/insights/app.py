"""HTTP side of insights; the events come by the broker."""

import asyncio
import dataclasses
import math
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import Gauge

from target_stack.kit.app import Route, Service
from target_stack.kit.auth import TENANT_ADMIN
from target_stack.kit.broker import Broker, BrokerUnavailableError
from target_stack.kit.call_context import current_caller
from target_stack.kit.consumer import Consumer
from target_stack.kit.consumer_routes import chain_routes, dead_letter_routes
from target_stack.kit.errors import ApiError, json_answer
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import Toolbox
from target_stack.services.insights.freshness import Freshness
from target_stack.services.insights.projection import Projection, RebuildRunningError
from target_stack.services.insights.store import SCHEMA, InsightsStore
from target_stack.services.insights.synchronous import SummaryOfOrders

_REBUILD_WITHIN_S = 120.0


def build(toolbox: Toolbox) -> Service:
    """Wire the service; the broker is found at NATS_URL."""
    database = toolbox.database()
    store = InsightsStore(database)
    freshness = Freshness(toolbox.clock)
    keys = keys_of_identity(toolbox)
    broker = Broker(toolbox.settings.required("NATS_URL"), service=toolbox.settings.service, log=toolbox.log)
    projection = Projection(store, freshness, broker, toolbox)
    consumer = Consumer(broker, toolbox, projection.apply, freshness)
    _show_staleness(toolbox, freshness)
    of_orders = None if toolbox.is_on(Protection.CQRS) else SummaryOfOrders(toolbox)

    async def prepare() -> None:
        await asyncio.gather(database.open(SCHEMA), keys.load())
        await projection.start()
        consumer.start()

    async def close() -> None:
        await consumer.close()
        await projection.close()
        await database.close()

    async def summary(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        if of_orders is not None:
            now_ns = toolbox.clock.unix_ns()
            found = await of_orders.summary(tenant)
            return json_answer({**dataclasses.asdict(found), "as_of": _rfc3339(now_ns), "staleness_ms": 0})
        as_of_ns, staleness_ms = freshness.as_of_ns, freshness.staleness_ms  # before the sums: never younger than they
        found = await store.summary(tenant)
        told = {"as_of": _rfc3339(as_of_ns), "staleness_ms": staleness_ms}
        return json_answer({**dataclasses.asdict(found), **told})

    async def digest(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        found = await store.digest(tenant)
        return json_answer({"tenant": tenant, "digest": found, "generation": store.generation})

    async def rebuild(_request: web.Request) -> web.Response:
        try:
            return json_answer(dataclasses.asdict(await projection.rebuild()))
        except RebuildRunningError:
            raise ApiError(409, "in_progress", "a rebuild is under way already", retry_after_s=1.0) from None
        except BrokerUnavailableError:
            message = "the broker is not available now; try again soon"
            raise ApiError(503, "broker_unavailable", message, retry_after_s=1.0) from None

    routes = (
        Route("GET", "/insights/summary", summary),
        Route("GET", "/insights/digest", digest),
        Route("POST", "/insights/rebuild", rebuild, TENANT_ADMIN, deadline_s=_REBUILD_WITHIN_S),
        *dead_letter_routes(consumer),
        *chain_routes(toolbox, projection.apply),
    )
    return Service(routes, prepare, close, keys, callers=("gateway", "notifications"))


def _show_staleness(toolbox: Toolbox, freshness: Freshness) -> None:
    gauge = Gauge("resilience_read_side_staleness_seconds", "Age of the answers", registry=toolbox.metrics.registry)
    gauge.set_function(lambda: math.nan if (age_ms := freshness.staleness_ms) is None else age_ms / 1000)


def _rfc3339(unix_ns: int | None) -> str | None:
    if unix_ns is None:
        return None
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
