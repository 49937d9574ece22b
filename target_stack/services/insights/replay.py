"""Sums up the stream anew, message by message, with the same result as live: late predecessors are waited for too."""

from collections.abc import Collection

from nats.aio.msg import Msg

from target_stack.kit.auth import TENANT_USER
from target_stack.kit.events import Event, EventRejectedError, decode
from target_stack.kit.inbox import Admission, TooEarlyError
from target_stack.services.insights.store import InsightsStore


class Replay:
    """Fills one generation; `last` is the number of the last message that it took."""

    def __init__(self, store: InsightsStore, generation: int, tenants: Collection[str]) -> None:
        self.generation = generation
        self.last = 0
        self.applied = 0
        self.skipped = 0
        self._store = store
        self._tenants = tenants
        self._early: dict[tuple[str, str], dict[int, Event]] = {}

    async def take(self, message: Msg) -> None:
        """Apply a message and what waited for it; what live goes to the dead letters counts as skipped."""
        self.last = message.metadata.sequence.stream
        try:
            event: Event | None = decode(message.subject, message.data, self._tenants, TENANT_USER)
        except EventRejectedError:
            self.skipped += 1
            return
        while event is not None and await self._is_settled(event):
            event = self._early.get((event.tenant, event.key), {}).pop(event.sequence + 1, None)

    async def _is_settled(self, event: Event) -> bool:
        try:
            admission = await self._store.apply(event, self.generation)
        except TooEarlyError:
            self._early.setdefault((event.tenant, event.key), {})[event.sequence] = event
            return False
        except EventRejectedError:
            self.skipped += 1
            return False
        self.applied += admission is Admission.NEW
        return True
