"""Payments that were made, by tenant and key."""

from dataclasses import dataclass

from target_stack.kit.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    tenant_id text NOT NULL, key text NOT NULL, amount_cents bigint NOT NULL, currency text NOT NULL,
    provider text NOT NULL, charge text NOT NULL, created_ns bigint NOT NULL,
    PRIMARY KEY (tenant_id, key));
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
        return Payment(row["tenant_id"], key, row["amount_cents"], row["currency"], row["provider"], row["charge"])

    async def save(self, payment: Payment, now_ns: int) -> None:
        """Keep a payment; the same one twice is kept once, as the provider charges each key once."""
        async with self._database.transaction("save payment", payment.tenant) as transaction:
            await transaction.execute(
                "INSERT INTO payments VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                payment.tenant,
                payment.key,
                payment.amount_cents,
                payment.currency,
                payment.provider,
                payment.charge,
                now_ns,
            )
