"""Payments that were made, by tenant and key."""

from dataclasses import dataclass
from typing import Any

from target_stack.kit.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    tenant_id text NOT NULL, key text NOT NULL, amount_cents bigint NOT NULL, currency text NOT NULL,
    provider text NOT NULL, charge text NOT NULL, created_ns bigint NOT NULL, reference text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, key));
ALTER TABLE payments ADD COLUMN IF NOT EXISTS reference text NOT NULL DEFAULT '';
ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON payments;
CREATE POLICY own_rows ON payments USING (tenant_id = current_setting('app.tenant_id', true));
"""


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment that a provider has taken."""

    tenant: str
    key: str
    amount_cents: int
    currency: str
    provider: str
    charge: str
    reference: str = ""  # what it pays for, as the customer calls it


@dataclass(frozen=True, slots=True)
class Listed:
    """A payment and when it was made."""

    payment: Payment
    created_ns: int


class PaymentStore:
    """Reads and writes payments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str, key: str) -> Payment | None:
        """Return the payment of *key*, or None."""
        async with self._database.transaction("find payment", tenant) as transaction:
            row = await transaction.fetchrow("SELECT * FROM payments WHERE key = $1", key)
        if row is None:
            return None
        return _payment(row)

    async def list_since(self, tenant: str, since_ns: int, after: tuple[int, str], limit: int) -> list[Listed]:
        """Return payments made at or after *since_ns* that follow the cursor *after*, oldest first."""
        async with self._database.transaction("list payments", tenant) as transaction:
            rows = await transaction.fetch(
                "SELECT * FROM payments WHERE created_ns >= $1 AND (created_ns, key) > ($2, $3)"
                " ORDER BY created_ns, key LIMIT $4",
                since_ns,
                *after,
                limit,
            )
        return [Listed(_payment(row), row["created_ns"]) for row in rows]

    async def save(self, payment: Payment, now_ns: int) -> None:
        """Keep a payment; the same one twice is kept once, as the provider charges each key once."""
        async with self._database.transaction("save payment", payment.tenant) as transaction:
            await transaction.execute(
                "INSERT INTO payments VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                payment.tenant,
                payment.key,
                payment.amount_cents,
                payment.currency,
                payment.provider,
                payment.charge,
                now_ns,
                payment.reference,
            )


def _payment(row: Any) -> Payment:
    return Payment(
        tenant=row["tenant_id"],
        key=row["key"],
        amount_cents=row["amount_cents"],
        currency=row["currency"],
        provider=row["provider"],
        charge=row["charge"],
        reference=row["reference"],
    )
