"""Orders by tenant. A key is claimed before any work, so that two requests with one key never make two orders.

What becomes of an order is announced as an event: `events` counts those of each order.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from target_stack.kit.call_context import current_caller
from target_stack.kit.clock import Clock
from target_stack.kit.database import DatabaseUnavailableError, Transaction, Transactions
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.events import Actor, Event
from target_stack.kit.seats import Relation
from target_stack.kit.telemetry import trace_headers
from target_stack.services.orders.announcing import Announcer

RELATIONS = (Relation("orders", ("tenant_id", "id")), Relation("outbox", ("tenant_id", "key", "sequence")))
CLAIM_LEASE_NS = 10_000_000_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    tenant_id text NOT NULL, id text NOT NULL, idempotency_key text NOT NULL, fingerprint text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'confirmed', 'failed')), attempt int NOT NULL,
    lines text NOT NULL, total_cents bigint NOT NULL, currency text NOT NULL,
    created_ns bigint NOT NULL, claimed_ns bigint NOT NULL, events int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, idempotency_key));
CREATE INDEX IF NOT EXISTS confirmed_orders ON orders (tenant_id, created_ns, id) WHERE status = 'confirmed';
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON orders;
CREATE POLICY own_rows ON orders USING (tenant_id = current_setting('app.tenant_id', true));
"""
_CLAIM = """
INSERT INTO orders VALUES ($1, $2, $3, $4, 'pending', 1, '[]', 0, 'EUR', $5, $5)
ON CONFLICT (tenant_id, idempotency_key) DO UPDATE
    SET status = 'pending', attempt = orders.attempt + 1, claimed_ns = excluded.claimed_ns
    WHERE orders.fingerprint = excluded.fingerprint
      AND (orders.status = 'failed' OR (orders.status = 'pending' AND orders.claimed_ns < $6))
RETURNING id, attempt, created_ns
"""
_CONFIRM = """
UPDATE orders SET status = 'confirmed', lines = $3, total_cents = $4, currency = $5, events = events + 1
WHERE id = $1 AND attempt = $2 AND status = 'pending' RETURNING events
"""
_ABANDON = """
UPDATE orders SET status = 'failed', events = events + 1
WHERE id = $1 AND attempt = $2 AND status = 'pending' RETURNING events
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One position of an order, at the price of the moment."""

    sku: str
    quantity: int
    price_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was acknowledged; `tenant` is read from its row."""

    tenant: str
    id: str
    idempotency_key: str
    status: str
    lines: Sequence[Line]
    total_cents: int
    currency: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for under a key; the fingerprint tells one wish from another."""

    tenant: str
    key: str
    quantities: tuple[tuple[str, int], ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Leave to carry out one wish; the attempt fences off a claim that was taken over."""

    tenant: str
    key: str
    order_id: str
    attempt: int
    created_ns: int


@dataclass(frozen=True, slots=True)
class Occupied:
    """The key is in use: `order` is there when it was confirmed, otherwise somebody is at work on it."""

    fingerprint: str
    order: Order | None


class OrderStore:
    """Reads and writes orders."""

    def __init__(
        self, database: Transactions, announcer: Announcer, clock: Clock, *, admits_failures: bool = True
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._clock = clock
        self._admits_failures = admits_failures

    async def claim(self, wish: Wish, fresh_id: str, now_ns: int) -> Claim | Occupied:
        """Claim the key of *wish*: a new one, one that failed, or one whose claim is older than the lease."""
        async with self._database.transaction("claim order", wish.tenant) as transaction:
            row = await transaction.fetchrow(
                _CLAIM, wish.tenant, fresh_id, wish.key, wish.fingerprint, now_ns, now_ns - CLAIM_LEASE_NS
            )
            if row is not None:
                return Claim(wish.tenant, wish.key, row["id"], row["attempt"], row["created_ns"])
            return await _occupied(transaction, wish.key)

    async def confirm(self, claim: Claim, order: Order) -> bool:
        """Commit the order; False when the claim was taken over in the meantime."""
        try:
            return await self._confirm(claim, order)
        except (DatabaseUnavailableError, DeadlineExceededError):
            if self._admits_failures:
                raise
            return True  # what is done without the protection `write_errors`

    async def _confirm(self, claim: Claim, order: Order) -> bool:
        lines = [asdict(line) for line in order.lines]
        origin = trace_headers().get("traceparent", "")
        async with self._database.transaction("confirm order", claim.tenant) as transaction:
            row = await transaction.fetchrow(
                _CONFIRM, claim.order_id, claim.attempt, json.dumps(lines), order.total_cents, order.currency
            )
            if row is None:
                return False
            told = {"lines": lines, "total_cents": order.total_cents, "currency": order.currency}
            event = self._event("orders.confirmed", claim, row["events"], told, origin)
            await self._announcer.recorded(transaction, event)
        await self._announcer.committed(event)
        return True

    async def abandon(self, claim: Claim) -> bool:
        """Give the key free for another try; False when the order was confirmed or taken over after all."""
        origin = trace_headers().get("traceparent", "")
        async with self._database.transaction("abandon order", claim.tenant) as transaction:
            row = await transaction.fetchrow(_ABANDON, claim.order_id, claim.attempt)
            if row is None:
                return False
            event = self._event("orders.failed", claim, row["events"], {}, origin)
            await self._announcer.recorded(transaction, event)
        await self._announcer.committed(event)
        return True

    async def find(self, tenant: str, order_id: str) -> Order | None:
        """Return a confirmed order, or None."""
        async with self._database.transaction("find order", tenant) as transaction:
            row = await transaction.fetchrow("SELECT * FROM orders WHERE id = $1 AND status = 'confirmed'", order_id)
        return None if row is None else _order(row)

    async def list_since(self, tenant: str, since_ns: int, after: tuple[int, str], limit: int) -> list[Order]:
        """Return confirmed orders created at or after *since_ns* that follow the cursor *after*, oldest first."""
        async with self._database.transaction("list orders", tenant) as transaction:
            rows = await transaction.fetch(
                "SELECT * FROM orders WHERE status = 'confirmed' AND created_ns >= $1 AND (created_ns, id) > ($2, $3)"
                " ORDER BY created_ns, id LIMIT $4",
                since_ns,
                *after,
                limit,
            )
        return [_order(row) for row in rows]

    def _event(self, kind: str, claim: Claim, sequence: int, told: dict[str, object], origin: str) -> Event:
        caller = current_caller()
        return Event(
            type=kind,
            tenant=claim.tenant,
            key=claim.order_id,
            sequence=sequence,
            occurred_ns=self._clock.unix_ns(),
            actor=Actor(caller.subject, caller.roles),
            data={"idempotency_key": claim.key, "created_ns": claim.created_ns, **told},
            origin=origin,
        )


async def _occupied(transaction: Transaction, key: str) -> Occupied:
    row = await transaction.fetchrow("SELECT * FROM orders WHERE idempotency_key = $1", key)
    return Occupied(row["fingerprint"], _order(row) if row["status"] == "confirmed" else None)


def _order(row: Any) -> Order:
    return Order(
        tenant=row["tenant_id"],
        id=row["id"],
        idempotency_key=row["idempotency_key"],
        status=row["status"],
        lines=tuple(Line(**line) for line in json.loads(row["lines"])),
        total_cents=row["total_cents"],
        currency=row["currency"],
        created_ns=row["created_ns"],
    )
