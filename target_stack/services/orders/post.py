"""Wires how events leave orders: broker, relay and announcer, as the protections say."""

import asyncio

from target_stack.kit.broker import Broker
from target_stack.kit.database import Transactions
from target_stack.kit.event_metrics import OutboxMetrics
from target_stack.kit.outbox import Publisher
from target_stack.kit.protections import Protection
from target_stack.kit.relay import LIMIT, Relay
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.orders.announcing import AfterCommit, Announcer, BeforeTheAnswer, ByCall, ByOutbox

_CHAIN_PLAN = LinkPlan(attempt_timeout_s=1.0)


class Post:
    """The broker is found at NATS_URL; OUTBOX_LIMIT bounds the events of a tenant that wait."""

    def __init__(self, toolbox: Toolbox, database: Transactions) -> None:
        settings = toolbox.settings
        self._broker = Broker(settings.required("NATS_URL"), service=settings.service, log=toolbox.log)
        metrics = OutboxMetrics(toolbox.metrics.registry, settings.tenants)
        times = 1 if toolbox.is_on(Protection.OUTBOX_ONCE) else 2
        publisher = Publisher(self._broker, toolbox.tracing, metrics, times=times)
        self.relay = Relay(
            database,
            publisher,
            settings.tenants,
            tracing=toolbox.tracing,
            metrics=metrics,
            clock=toolbox.clock,
            log=toolbox.log,
            limit=int(settings.environment.get("OUTBOX_LIMIT", LIMIT)),
            in_turn=not toolbox.is_on(Protection.RELAY_SHARE),
        )
        self._relaying: asyncio.Task[None] | None = None
        self.announcer = _announcer(toolbox, publisher, self.relay)

    def start(self) -> None:
        """Connect and relay, both in the background; the database must be open."""
        self._broker.start()
        self._relaying = asyncio.create_task(self.relay.run(), name="outbox relay")

    async def close(self) -> None:
        """Stop where it is: what was not published waits in the outbox."""
        if self._relaying is not None:
            self._relaying.cancel()
        await self._broker.close()


def _announcer(toolbox: Toolbox, publisher: Publisher, relay: Relay) -> Announcer:
    if not toolbox.is_on(Protection.EVENTS):
        url = toolbox.settings.required("NOTIFICATIONS_URL")
        return ByCall(toolbox.client("notifications", url, _CHAIN_PLAN))
    if not toolbox.is_on(Protection.OUTBOX):
        return AfterCommit(publisher, toolbox.tasks)
    if not toolbox.is_on(Protection.OUTBOX_ASIDE):
        return BeforeTheAnswer(relay, publisher)
    return ByOutbox(relay)
