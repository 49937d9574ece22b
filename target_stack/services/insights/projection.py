"""Keeps the read side going: applies what comes, and rebuilds it from the stream without a moment of silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from target_stack.kit.broker import EVENTS, Broker, translated
from target_stack.kit.events import Event
from target_stack.kit.inbox import Admission
from target_stack.kit.toolbox import Toolbox
from target_stack.services.insights.freshness import Freshness
from target_stack.services.insights.replay import Replay
from target_stack.services.insights.store import InsightsStore

_SAVE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to."""

    generation: int
    events: int
    skipped: int


class RebuildRunningError(Exception):
    """A rebuild is under way already."""


class Projection:
    """Events to sums. While a rebuild changes generations, live events wait a moment."""

    def __init__(self, store: InsightsStore, freshness: Freshness, broker: Broker, toolbox: Toolbox) -> None:
        self._store = store
        self._freshness = freshness
        self._broker = broker
        self._toolbox = toolbox
        self._gate = asyncio.Lock()
        self._rebuilding = asyncio.Lock()
        self._saving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up where an earlier process ended."""
        self._freshness.start_from(await self._store.load() or None)
        self._saving = asyncio.create_task(self._keep_saving(), name="saving freshness")

    async def close(self) -> None:
        """Stop saving."""
        if self._saving is not None:
            self._saving.cancel()

    async def apply(self, event: Event) -> Admission:
        """Apply a live event to the generation that answers."""
        async with self._gate:
            return await self._store.apply(event, self._store.generation)

    async def rebuild(self) -> Rebuilt:
        """Sum up the whole stream anew; answers stay as quick as ever. Raises RebuildRunningError."""
        if self._rebuilding.locked():
            raise RebuildRunningError
        async with self._rebuilding:
            await self._clear()
            anew = Replay(self._store, self._store.generation + 1, self._toolbox.settings.tenants)
            await self._read(anew)
            async with self._gate:  # what came meanwhile; the inbox of each generation makes an overlap harmless
                await self._read(anew)
                await self._store.change_places(anew.generation)
            await self._clear()
        return Rebuilt(anew.generation, anew.applied, anew.skipped)

    async def _clear(self) -> None:
        for tenant in self._toolbox.settings.tenants:
            await self._store.drop_all_but(self._store.generation, tenant)

    async def _read(self, anew: Replay) -> None:
        async for message in self._stored(anew.last + 1):
            await anew.take(message)

    async def _stored(self, first: int) -> AsyncIterator[Msg]:
        """Yield the messages that the stream holds now, from number *first* on, in order."""
        stream = await self._broker.jetstream()
        with translated():
            last = (await stream.stream_info(EVENTS.name or "")).state.last_seq
            if last < first:
                return
            start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first)
            subscription = await stream.subscribe(">", stream=EVENTS.name, config=start, ordered_consumer=True)
            try:
                number = first - 1
                while number < last:
                    message = await subscription.next_msg(timeout=5)
                    number = message.metadata.sequence.stream
                    yield message
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()

    async def _keep_saving(self) -> None:
        saved_ns: int | None = None
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            as_of_ns = self._freshness.as_of_ns
            if as_of_ns is None or as_of_ns == saved_ns:
                continue
            try:
                await self._store.save_as_of(as_of_ns)
                saved_ns = as_of_ns
            except Exception as error:  # noqa: BLE001 - it is a comfort for the next start, no more
                self._toolbox.log.warning("how fresh the read side is could not be saved", error=str(error))
