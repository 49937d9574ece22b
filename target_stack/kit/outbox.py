"""The outbox: an event is written in the transaction of what it tells, and published from there until it is there.

A crash at any point loses nothing: before the commit there is neither fact nor event, after it the relay finds the
row, publishes it, and deletes it only when the broker has it. A crash in between publishes twice: the event's id lets
the broker drop the second one, and consumers recognise what they have applied (see inbox).
"""

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from target_stack.kit.broker import Broker, BrokerUnavailableError
from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import Clock
from target_stack.kit.database import DatabaseUnavailableError, Transaction, Transactions
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.errors import ApiError
from target_stack.kit.event_metrics import OutboxMetrics
from target_stack.kit.events import Actor, Event, encode
from target_stack.kit.logs import Log
from target_stack.kit.telemetry import Tracing, mark_failed, trace_headers

BATCH = 64
LIMIT = 20_000
"""So many events of a tenant may wait; then its orders are refused rather than their events lost."""
_SWEEP_S = 2.0
_READ_WITHIN_S = 2.0
_COUNT_EVERY_S = 1.0
_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 1.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    tenant_id text NOT NULL, key text NOT NULL, sequence int NOT NULL, type text NOT NULL, occurred_ns bigint NOT NULL,
    actor text NOT NULL, roles text NOT NULL, traceparent text NOT NULL, data text NOT NULL,
    PRIMARY KEY (tenant_id, key, sequence));
CREATE INDEX IF NOT EXISTS outbox_age ON outbox (tenant_id, occurred_ns);
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON outbox;
CREATE POLICY own_rows ON outbox USING (tenant_id = current_setting('app.tenant_id', true));
"""
_ADD = "INSERT INTO outbox VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_READ = "SELECT * FROM outbox ORDER BY occurred_ns, key, sequence LIMIT $1"
_DELETE = "DELETE FROM outbox WHERE (key, sequence) IN (SELECT * FROM unnest($1::text[], $2::int[]))"


async def add(transaction: Transaction, event: Event) -> None:
    """Write *event* in the transaction of what it tells."""
    await transaction.execute(
        _ADD,
        event.tenant,
        event.key,
        event.sequence,
        event.type,
        event.occurred_ns,
        event.actor.subject,
        json.dumps(sorted(event.actor.roles)),
        event.origin,
        json.dumps(event.data),
    )


class Publisher:
    """Publishes one event in its PRODUCER span, which belongs to the trace that made it."""

    def __init__(self, broker: Broker, tracing: Tracing, metrics: OutboxMetrics) -> None:
        self._broker = broker
        self._tracing = tracing
        self._metrics = metrics

    async def publish(self, event: Event) -> None:
        """Return once the broker has *event*; raise BrokerUnavailableError otherwise."""
        attributes: dict[str, Any] = {
            "messaging.system": "nats",
            "messaging.destination.name": event.subject,
            "messaging.message.id": event.id,
            "tenant.id": event.tenant,
        }
        with self._tracing.producer_span(f"publish {event.type}", {"traceparent": event.origin}, attributes):
            try:
                await self._broker.publish(event.subject, encode(event), event.id, trace_headers())
            except BrokerUnavailableError:
                self._metrics.failures.inc()
                raise
        self._metrics.published.labels(event.tenant).inc()


class Relay:
    """Carries the rows of the outbox to the broker, tenant by tenant, for as long as the process runs."""

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
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._tracing = tracing
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._limit = limit
        self._pending = dict.fromkeys(tenants, 0)
        self._counted_s = dict.fromkeys(self._pending, float("-inf"))
        self._due = set(self._pending)
        self._woken = asyncio.Event()
        self._rng = random.Random()

    def check_room(self, tenant: str) -> None:
        """Raise the 503 when too many events of *tenant* wait already."""
        if self._pending[tenant] >= self._limit:
            message = "too many events wait to be published; try again soon"
            raise ApiError(503, "outbox_full", message, retry_after_s=2.0)

    def wake(self, tenant: str) -> None:
        """Say that an event of *tenant* was committed."""
        self._note(tenant, self._pending[tenant] + 1)
        self._due.add(tenant)
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled: what this process committed at once, what it does not know of every few seconds."""
        failures = 0
        while True:
            if not self._due:
                await self._wait_for_work()
            failures = 0 if await self._round(1 if failures else BATCH) else failures + 1
            if failures:
                longest_s = min(_MAX_BACKOFF_S, _BACKOFF_S * 2.0**failures)
                await asyncio.sleep(self._rng.uniform(longest_s / 2, longest_s))

    async def _wait_for_work(self) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(_SWEEP_S):
                await self._woken.wait()
        except TimeoutError:
            self._due = set(self._pending)  # a commit whose answer was lost woke nobody

    async def _round(self, batch: int) -> bool:
        """Carry up to *batch* events of each tenant that is due; False when some of it has to be tried again.

        After a failure a single event goes ahead: a broker in trouble, and this process, are spared the rest.
        """
        due, self._due = self._due, set()
        went_well = True
        for tenant in sorted(due):
            try:
                if await self._carry(tenant, batch) == batch:
                    self._due.add(tenant)
            except (BrokerUnavailableError, DatabaseUnavailableError, DeadlineExceededError):
                self._due.add(tenant)
                went_well = False
            except Exception as error:  # noqa: BLE001 - one tenant's trouble must not end the relay of all
                self._log.exception("the relay stumbled", error, tenant=tenant)
                self._due.add(tenant)
                went_well = False
        return went_well

    async def _carry(self, tenant: str, batch: int) -> int:
        set_context(CallContext(Deadline.after(_READ_WITHIN_S, self._clock), named_tenant=tenant))
        async with self._database.transaction("read outbox", tenant) as transaction:
            rows = await transaction.fetch(_READ, batch)
            await self._count(transaction, tenant, len(rows), full=len(rows) == batch)
        if not rows:
            return 0
        with self._tracing.client_span("send events", {"peer.service": "broker", "tenant.id": tenant}) as span:
            sent, failure = await self._publish(rows)
            if failure is not None:
                mark_failed(span, type(failure).__name__)
        await self._delete(tenant, sent)
        if failure is not None:
            raise failure
        return len(rows)

    async def _count(self, transaction: Transaction, tenant: str, seen: int, *, full: bool) -> None:
        """Keep the number of waiting events true; counting a long queue costs, so it is done now and then."""
        now_s = self._clock.monotonic_s()
        if full:
            if now_s - self._counted_s[tenant] < _COUNT_EVERY_S:
                return
            self._counted_s[tenant] = now_s
            seen = (await transaction.fetchrow("SELECT count(*) FROM outbox"))[0]
        self._note(tenant, seen)

    async def _publish(self, rows: Sequence[Any]) -> tuple[list[Any], BaseException | None]:
        """Publish in order for each key, different keys side by side; return what is there and the first failure."""
        by_key: dict[str, list[Any]] = {}
        for row in rows:
            by_key.setdefault(row["key"], []).append(row)
        sent: list[Any] = []
        ends = await asyncio.gather(
            *(self._publish_in_order(of_key, sent) for of_key in by_key.values()), return_exceptions=True
        )
        return sent, next((end for end in ends if end is not None), None)

    async def _publish_in_order(self, rows: Sequence[Any], sent: list[Any]) -> None:
        for row in rows:
            await self._publisher.publish(_event(row))
            sent.append(row)

    async def _delete(self, tenant: str, sent: Sequence[Any]) -> None:
        if not sent:
            return
        set_context(CallContext(Deadline.after(_READ_WITHIN_S, self._clock), named_tenant=tenant))
        async with self._database.transaction("clear outbox", tenant) as transaction:
            await transaction.execute(_DELETE, [row["key"] for row in sent], [row["sequence"] for row in sent])
        self._note(tenant, max(0, self._pending[tenant] - len(sent)))

    def _note(self, tenant: str, pending: int) -> None:
        self._pending[tenant] = pending
        self._metrics.pending.labels(tenant).set(pending)


def _event(row: Any) -> Event:
    return Event(
        type=row["type"],
        tenant=row["tenant_id"],
        key=row["key"],
        sequence=row["sequence"],
        occurred_ns=row["occurred_ns"],
        actor=Actor(row["actor"], frozenset(json.loads(row["roles"]))),
        data=json.loads(row["data"]),
        origin=row["traceparent"],
    )
