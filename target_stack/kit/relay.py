"""The relay: carries the rows of the outbox to the broker, for each tenant apart.

Each tenant has a lane of its own: its own loop, pauses, batches and clock. A tenant whose database is slow, silent or
gone waits alone. A row that can never be published is parked with its cause, and with it whatever follows about the
same key, for consumers take the events of a key in order; everything else of the tenant goes on.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from target_stack.kit import outbox
from target_stack.kit.broker import BrokerUnavailableError
from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import Clock
from target_stack.kit.database import DatabaseUnavailableError, Transaction, Transactions
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.errors import ApiError
from target_stack.kit.event_metrics import OutboxMetrics
from target_stack.kit.events import EventRejectedError
from target_stack.kit.logs import Log
from target_stack.kit.outbox import Publisher
from target_stack.kit.telemetry import Tracing, mark_failed

BATCH = 64
LIMIT = 20_000
"""So many events of a tenant may wait; then its orders are refused rather than their events lost."""
MOST_STUMBLES = 5
"""How often an event may fail for a reason that nobody foresaw before it is parked."""
SWEEP_S = 2.0
_WITHIN_S = 2.0
_COUNT_EVERY_S = 1.0
_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 1.0
_LONGEST_CAUSE = 300


@dataclass(slots=True)
class Sent:
    """What became of a batch: rows that the broker has, rows that can never be published, and the first trouble."""

    rows: list[Any] = field(default_factory=list)
    hopeless: list[tuple[Any, str]] = field(default_factory=list)
    trouble: Exception | None = None


class Lane:
    """The way of one tenant's events."""

    def __init__(self, tenant: str, relay: "Relay") -> None:
        self._tenant = tenant
        self._relay = relay
        self.failures = 0
        self._counted_s = float("-inf")
        self._stumbles: dict[tuple[str, int], int] = {}
        self._rng = random.Random()
        self.pending = 0
        self.woken = asyncio.Event()
        self.woken.set()  # what an earlier process left behind

    def note(self, pending: int) -> None:
        """Take note of how many events wait."""
        self.pending = pending
        self._relay.metrics.pending.labels(self._tenant).set(pending)

    async def run(self) -> None:
        """Carry until cancelled: at once what this process committed, in every sweep what nobody told us of."""
        while True:
            await self.wait(SWEEP_S)
            if not await self.step():
                self.woken.set()
                await asyncio.sleep(self.pause_s())

    async def wait(self, longest_s: float) -> None:
        """Wait to be woken; a commit whose answer was lost wakes nobody, so the wait has an end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self.woken.wait()
        self.woken.clear()

    def pause_s(self) -> float:
        """Return how long to leave alone what has just failed."""
        longest_s = min(_MAX_BACKOFF_S, _BACKOFF_S * 2.0 ** min(self.failures, 10))
        return self._rng.uniform(longest_s / 2, longest_s)

    async def step(self) -> bool:
        """Carry a batch; False when some of it has to be tried again.

        After a failure a single event goes ahead: a broker in trouble, and this process, are spared the rest.
        """
        batch = 1 if self.failures else BATCH
        try:
            if await self._carry(batch) == batch:
                self.woken.set()  # there may be more
        except (BrokerUnavailableError, DatabaseUnavailableError, DeadlineExceededError):
            self.failures += 1
        except Exception as error:  # a lane that ended would be silent for ever
            self._relay.log.exception("the relay stumbled", error, tenant=self._tenant)
            self.failures += 1
        else:
            self.failures = 0
        return self.failures == 0

    async def _carry(self, batch: int) -> int:
        self._begin()
        async with self._relay.database.transaction("read outbox", self._tenant) as transaction:
            rows = await transaction.fetch(outbox.READ, batch)
            await self._count(transaction, len(rows), full=len(rows) == batch)
        if not rows:
            return 0
        with self._relay.tracing.client_span("send events", self._about()) as span:
            sent = await self._publish(rows)
            if sent.trouble is not None:
                mark_failed(span, type(sent.trouble).__name__)
        await self._settle(sent)
        if sent.trouble is not None:
            raise sent.trouble
        return len(rows)

    def _begin(self) -> None:
        set_context(CallContext(Deadline.after(_WITHIN_S, self._relay.clock), named_tenant=self._tenant))

    def _about(self) -> dict[str, Any]:
        return {"peer.service": "broker", "tenant.id": self._tenant}

    async def _count(self, transaction: Transaction, seen: int, *, full: bool) -> None:
        """Keep the numbers true; counting a long queue costs, so it is done now and then."""
        now_s = self._relay.clock.monotonic_s()
        if now_s - self._counted_s >= _COUNT_EVERY_S:
            self._counted_s = now_s
            row = await transaction.fetchrow(outbox.COUNT)
            self._relay.metrics.parked.labels(self._tenant).set(row["parked"])
            seen, full = row["pending"], False
        if not full:
            self.note(seen)

    async def _publish(self, rows: Sequence[Any]) -> Sent:
        """Publish in order for each key, different keys side by side."""
        by_key: dict[str, list[Any]] = {}
        for row in rows:
            by_key.setdefault(row["key"], []).append(row)
        sent = Sent()
        await asyncio.gather(*(self._publish_in_order(of_key, sent) for of_key in by_key.values()))
        return sent

    async def _publish_in_order(self, rows: Sequence[Any], sent: Sent) -> None:
        for place, row in enumerate(rows):
            if row["is_behind_parked"]:
                sent.hopeless.append((row, "an earlier event about the same key is parked"))
                continue
            try:
                await self._relay.publisher.publish(outbox.event_of(row))
            except (EventRejectedError, ValueError) as error:
                sent.hopeless += _with_followers(rows[place:], error)
                return
            except BrokerUnavailableError as error:
                sent.trouble = sent.trouble or error
                return
            except Exception as error:  # noqa: BLE001 - nobody foresaw it: no event of another key shall wait for it
                if self._is_hopeless(row):
                    sent.hopeless += _with_followers(rows[place:], error)
                else:
                    sent.trouble = sent.trouble or error
                return
            sent.rows.append(row)

    def _is_hopeless(self, row: Any) -> bool:
        name = row["key"], row["sequence"]
        self._stumbles[name] = self._stumbles.get(name, 0) + 1
        return self._stumbles[name] >= MOST_STUMBLES

    async def _settle(self, sent: Sent) -> None:
        """Delete what the broker has and park what it will never have."""
        if not sent.rows and not sent.hopeless:
            return
        self._begin()
        async with self._relay.database.transaction("clear outbox", self._tenant) as transaction:
            if sent.rows:
                await transaction.execute(outbox.DELETE, *_names(sent.rows))
            if sent.hopeless:
                causes = [cause for _, cause in sent.hopeless]
                await transaction.execute(outbox.PARK, *_names([row for row, _ in sent.hopeless]), causes)
        self.note(max(0, self.pending - len(sent.rows) - len(sent.hopeless)))
        for row, cause in sent.hopeless:
            self._stumbles.pop((row["key"], row["sequence"]), None)
            self._relay.metrics.parked.labels(self._tenant).inc()
            self._relay.log.error("an event cannot be published", cause=cause, tenant=self._tenant, key=row["key"])


class Relay:
    """The lanes of all tenants, for as long as the process runs."""

    def __init__(
        self,
        database: Transactions,
        publisher: Publisher,
        tenants: Iterable[str],
        *,
        tracing: Tracing,
        metrics: OutboxMetrics,
        clock: Clock,
        log: Log,
        limit: int = LIMIT,
        in_turn: bool = False,
    ) -> None:
        self.database = database
        self.publisher = publisher
        self.tracing = tracing
        self.metrics = metrics
        self.clock = clock
        self.log = log
        self._limit = limit
        self._in_turn = in_turn
        self._lanes = {tenant: Lane(tenant, self) for tenant in tenants}

    def check_room(self, tenant: str) -> None:
        """Raise the 503 when too many events of *tenant* wait already."""
        if self._lanes[tenant].pending >= self._limit:
            message = "too many events wait to be published; try again soon"
            raise ApiError(503, "outbox_full", message, retry_after_s=2.0)

    def wake(self, tenant: str) -> None:
        """Say that an event of *tenant* was committed."""
        lane = self._lanes[tenant]
        lane.note(lane.pending + 1)
        lane.woken.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        if self._in_turn:
            await self._take_turns()
        async with asyncio.TaskGroup() as lanes:
            for tenant, lane in self._lanes.items():
                lanes.create_task(lane.run(), name=f"outbox of {tenant}")

    async def _take_turns(self) -> None:
        """One loop and one pause for all: what is done without the protection `relay_share`."""
        while True:
            lanes = list(self._lanes.values())
            went_well = all([await lane.step() for lane in lanes])
            for lane in lanes:
                lane.failures = 0 if went_well else max(1, lane.failures)
            await asyncio.sleep(max(lane.pause_s() for lane in lanes))

    async def parked(self, tenant: str) -> list[dict[str, object]]:
        """Return the events of *tenant* that could not be published, oldest first, each with its cause."""
        async with self.database.transaction("list parked events", tenant) as transaction:
            rows = await transaction.fetch(outbox.LIST_PARKED)
        return [{**{name: row[name] for name in ("key", "sequence", "type")}, "cause": row["parked"]} for row in rows]

    async def release(self, tenant: str) -> int:
        """Try the parked events of *tenant* again; return how many there were."""
        async with self.database.transaction("release parked events", tenant) as transaction:
            tag = await transaction.execute(outbox.RELEASE)
        self._lanes[tenant].woken.set()
        return int(tag.rpartition(" ")[2])


def _with_followers(rows: Sequence[Any], error: Exception) -> list[tuple[Any, str]]:
    cause = f"{type(error).__name__}: {error}"[:_LONGEST_CAUSE]
    behind = "an earlier event about the same key is parked"
    return [(row, cause if place == 0 else behind) for place, row in enumerate(rows)]


def _names(rows: Sequence[Any]) -> tuple[list[str], list[int]]:
    return [row["key"] for row in rows], [row["sequence"] for row in rows]
