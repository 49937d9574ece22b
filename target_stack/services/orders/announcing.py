"""Telling the rest of the platform what became of an order: through the outbox, or, for proofs, as one should not.

`recorded` runs in the transaction of the order, `committed` after it. The outbox writes in the first and only wakes
the relay in the second. Without it the event is published after the commit, once, and is lost with the process or the
broker; without events at all the others are called in a chain, and their troubles become those of checkout.
"""

import asyncio
import contextlib
from typing import Protocol

from target_stack.kit import outbox
from target_stack.kit.background import BackgroundTasks
from target_stack.kit.breaker import BreakerOpenError
from target_stack.kit.broker import BrokerUnavailableError
from target_stack.kit.bulkhead import BulkheadFullError
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.consumer_routes import EVENTS_PATH
from target_stack.kit.database import Transaction
from target_stack.kit.errors import ApiError
from target_stack.kit.events import Event, encode
from target_stack.kit.outbox import Publisher
from target_stack.kit.relay import Relay

_WAITS_S = 1.0
_AGAIN_S = 0.05


class Announcer(Protocol):
    """How events leave orders."""

    def check_room(self, tenant: str) -> None:
        """Raise the 503 when no further event of *tenant* can be taken on."""
        ...

    async def recorded(self, transaction: Transaction, event: Event) -> None:
        """Hear of *event* in the transaction that makes it true."""
        ...

    async def committed(self, event: Event) -> None:
        """Hear that *event* is true for good."""
        ...


class ByOutbox:
    """The event is as safe as the order."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def check_room(self, tenant: str) -> None:
        """Raise the 503 when too many events of *tenant* wait already."""
        self._relay.check_room(tenant)

    async def recorded(self, transaction: Transaction, event: Event) -> None:
        """Write the event beside the order."""
        await outbox.add(transaction, event)

    async def committed(self, event: Event) -> None:
        """Have it carried to the broker now rather than at the next sweep."""
        self._relay.wake(event.tenant)


class BeforeTheAnswer(ByOutbox):
    """What is done without the protection `outbox_aside`: the customer waits until the broker has the event."""

    def __init__(self, relay: Relay, publisher: Publisher) -> None:
        super().__init__(relay)
        self._publisher = publisher

    async def committed(self, event: Event) -> None:
        """Publish now, and let the outbox have what did not work for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAITS_S):
                while not await self._published(event):  # noqa: ASYNC110 - the broker is another process
                    await asyncio.sleep(_AGAIN_S)
        await super().committed(event)

    async def _published(self, event: Event) -> bool:
        try:
            await self._publisher.publish(event)
        except BrokerUnavailableError:
            return False
        return True


class AfterCommit:
    """What is done without the protection `outbox`."""

    def __init__(self, publisher: Publisher, tasks: BackgroundTasks) -> None:
        self._publisher = publisher
        self._tasks = tasks

    def check_room(self, tenant: str) -> None:
        """Take on everything."""

    async def recorded(self, transaction: Transaction, event: Event) -> None:
        """Write nothing."""

    async def committed(self, event: Event) -> None:
        """Publish once, in the background, and hope."""
        self._tasks.start("publishing", self._publish(event))

    async def _publish(self, event: Event) -> None:
        try:
            await self._publisher.publish(event)
        except BrokerUnavailableError as error:
            msg = f"event {event.id} is lost: {error}"
            raise RuntimeError(msg) from error


class ByCall:
    """What is done without the protection `events`: a distributed monolith."""

    def __init__(self, notifications: ServiceClient) -> None:
        self._notifications = notifications

    def check_room(self, tenant: str) -> None:
        """Take on everything."""

    async def recorded(self, transaction: Transaction, event: Event) -> None:
        """Write nothing."""

    async def committed(self, event: Event) -> None:
        """Wait for notifications, which waits for insights; raise the 503 when the chain breaks."""
        headers = {"Content-Type": "application/json"}
        call = Call("POST", EVENTS_PATH, EVENTS_PATH, body=encode(event), headers=headers, idempotent=True)
        try:
            answer = await self._notifications.call(call)
        except (BreakerOpenError, BulkheadFullError, LinkError) as failure:
            raise _chain_broken() from failure
        if answer.status != 200:
            raise _chain_broken()


def _chain_broken() -> ApiError:
    return ApiError(503, "notifications_unavailable", "notifications is not available now", retry_after_s=1.0)
