"""The outbox: an event is written in the transaction of what it tells, and published from there until it is there.

A crash at any point loses nothing: before the commit there is neither fact nor event, after it the relay finds the
row, publishes it, and deletes it only when the broker has it (see relay). A crash in between publishes twice: the
event's id lets the broker drop the second one, and consumers recognise what they have applied (see inbox).
"""

import json
from typing import Any

from target_stack.kit.broker import Broker, BrokerUnavailableError
from target_stack.kit.database import Transaction
from target_stack.kit.event_metrics import OutboxMetrics
from target_stack.kit.events import Actor, Event, encode
from target_stack.kit.telemetry import Tracing, trace_headers

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    tenant_id text NOT NULL, key text NOT NULL, sequence int NOT NULL, type text NOT NULL, occurred_ns bigint NOT NULL,
    actor text NOT NULL, roles text NOT NULL, traceparent text NOT NULL, data text NOT NULL, parked text,
    PRIMARY KEY (tenant_id, key, sequence));
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS parked text;
CREATE INDEX IF NOT EXISTS outbox_age ON outbox (tenant_id, occurred_ns);
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON outbox;
CREATE POLICY own_rows ON outbox USING (tenant_id = current_setting('app.tenant_id', true));
"""
READ = """
SELECT o.*, EXISTS (SELECT FROM outbox AS p WHERE p.tenant_id = o.tenant_id AND p.key = o.key
                    AND p.sequence < o.sequence AND p.parked IS NOT NULL) AS is_behind_parked
FROM outbox AS o WHERE parked IS NULL ORDER BY occurred_ns, key, sequence LIMIT $1
"""
COUNT = """
SELECT count(*) FILTER (WHERE parked IS NULL) AS pending, count(*) FILTER (WHERE parked IS NOT NULL) AS parked
FROM outbox
"""
DELETE = "DELETE FROM outbox WHERE (key, sequence) IN (SELECT * FROM unnest($1::text[], $2::int[]))"
PARK = """
UPDATE outbox SET parked = w.cause FROM unnest($1::text[], $2::int[], $3::text[]) AS w (key, sequence, cause)
WHERE outbox.key = w.key AND outbox.sequence = w.sequence
"""
LIST_PARKED = "SELECT * FROM outbox WHERE parked IS NOT NULL ORDER BY occurred_ns, key, sequence LIMIT 500"
RELEASE = "UPDATE outbox SET parked = NULL WHERE parked IS NOT NULL"
_ADD = "INSERT INTO outbox VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"


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


def event_of(row: Any) -> Event:
    """Return the event of a row; raise ValueError for a row that is none."""
    try:
        roles, data = json.loads(row["roles"]), json.loads(row["data"])
        return Event(
            type=row["type"],
            tenant=row["tenant_id"],
            key=row["key"],
            sequence=row["sequence"],
            occurred_ns=row["occurred_ns"],
            actor=Actor(row["actor"], frozenset(roles)),
            data=data,
            origin=row["traceparent"],
        )
    except TypeError as error:
        raise ValueError(str(error)) from None


class Publisher:
    """Publishes one event in its PRODUCER span, which belongs to the trace that made it."""

    def __init__(self, broker: Broker, tracing: Tracing, metrics: OutboxMetrics, *, times: int = 1) -> None:
        self._broker = broker
        self._tracing = tracing
        self._metrics = metrics
        self._times = times  # more than once, as if ids did not count, only while that is to be noticed

    async def publish(self, event: Event) -> None:
        """Return once the broker has *event*; raise BrokerUnavailableError otherwise, EventRejectedError for good."""
        attributes: dict[str, Any] = {
            "messaging.system": "nats",
            "messaging.destination.name": event.subject,
            "messaging.message.id": event.id,
            "tenant.id": event.tenant,
        }
        with self._tracing.producer_span(f"publish {event.type}", {"traceparent": event.origin}, attributes):
            try:
                for time in range(self._times):
                    message_id = event.id if time == 0 else f"{event.id}:{time}"
                    await self._broker.publish(event.subject, encode(event), message_id, trace_headers())
            except BrokerUnavailableError:
                self._metrics.failures.inc()
                raise
        self._metrics.published.labels(event.tenant).inc()
