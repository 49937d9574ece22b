"""Billing's own invoices, what it holds in quarantine, and how far it has followed the monolith; by tenant."""

import json
from collections.abc import Sequence
from typing import Any

from target_stack.kit.database import Database, Transaction
from target_stack.kit.invoices import Invoice, Page
from target_stack.services.billing.acl import Quarantined

_TABLES = ("invoices", "quarantine", "followed")
SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    tenant_id text NOT NULL, key text COLLATE "C" NOT NULL, amount_cents bigint NOT NULL, currency text NOT NULL,
    status text NOT NULL, issued_s bigint NOT NULL, due_on text NOT NULL, is_told boolean NOT NULL,
    PRIMARY KEY (tenant_id, key));
CREATE INDEX IF NOT EXISTS invoices_issued ON invoices (tenant_id, issued_s, key);
CREATE INDEX IF NOT EXISTS invoices_untold ON invoices (tenant_id) WHERE NOT is_told;
CREATE TABLE IF NOT EXISTS quarantine (
    tenant_id text NOT NULL, name text NOT NULL, reason text NOT NULL, record text NOT NULL, after bigint NOT NULL,
    PRIMARY KEY (tenant_id, name));
CREATE TABLE IF NOT EXISTS followed (tenant_id text PRIMARY KEY, number bigint NOT NULL);
""" + "".join(
    f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON {table};
CREATE POLICY own_rows ON {table} USING (tenant_id = current_setting('app.tenant_id', true));
"""
    for table in _TABLES
)
_SAVE = "INSERT INTO invoices VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant_id, key) DO "
_ADOPT = _SAVE + (
    "UPDATE SET status = excluded.status, due_on = excluded.due_on, is_told = true"
    " WHERE invoices.amount_cents = excluded.amount_cents AND invoices.issued_s = excluded.issued_s"
    " AND invoices.currency = excluded.currency RETURNING key"
)
_OVERWRITE = _SAVE + (
    "UPDATE SET amount_cents = excluded.amount_cents, currency = excluded.currency, status = excluded.status,"
    " issued_s = excluded.issued_s, due_on = excluded.due_on RETURNING key"
)


class BillingStore:
    """Reads and writes invoices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, invoice: Invoice) -> Invoice:
        """Keep an invoice of ours, once for each key, and return the one that is kept."""
        async with self._database.transaction("save invoice", invoice.tenant) as transaction:
            await transaction.execute(_SAVE + "NOTHING", *_values(invoice), False)
            return _invoice(
                await transaction.fetchrow("SELECT * FROM invoices WHERE key = $1", invoice.idempotency_key)
            )

    async def page(self, tenant: str, page: Page) -> tuple[list[Invoice], bool]:
        """Return a page in the order of issue, and whether anything of the tenant is in quarantine."""
        query = (
            "SELECT * FROM invoices WHERE issued_s >= $1 AND (issued_s, key) > ($2, $3) ORDER BY issued_s, key LIMIT $4"
        )
        async with self._database.transaction("list invoices", tenant) as transaction:
            rows = await transaction.fetch(query, page.since_s, *page.after, page.limit)
            doubtful = await transaction.fetchrow("SELECT 1 FROM quarantine LIMIT 1")
        return [_invoice(row) for row in rows], doubtful is not None

    async def followed(self, tenant: str, *, again: bool = False) -> int:
        """Return the number of the last record taken in; with *again* that before the first one in quarantine."""
        query = "SELECT (SELECT number FROM followed) AS number, (SELECT min(after) FROM quarantine) AS doubtful"
        async with self._database.transaction("read cursor", tenant) as transaction:
            row = await transaction.fetchrow(query)
        number = int(row["number"] or 0)
        return min(number, int(row["doubtful"])) if again and row["doubtful"] is not None else number

    async def take_in(
        self, tenant: str, found: Sequence[Invoice | Quarantined], *, after: int, number: int, blindly: bool = False
    ) -> list[Quarantined]:
        """Keep what followed *after* up to *number*, all or nothing; return what went into quarantine.

        A record that contradicts an invoice of ours goes there too: amount and day of an invoice never change.
        """
        held: list[Quarantined] = []
        async with self._database.transaction("take in records", tenant) as transaction:
            await transaction.execute("DELETE FROM quarantine WHERE after >= $1 AND after < $2", after, number)
            for each in found:
                if isinstance(each, Invoice) and not await _keep(transaction, each, blindly=blindly):
                    reason = "contradicts the invoice that is there"
                    each = Quarantined(each.idempotency_key, reason, each.as_json())
                if isinstance(each, Quarantined):
                    held.append(each)
                    await _hold(transaction, tenant, each, after)
            await transaction.execute(
                "INSERT INTO followed VALUES ($1, $2) ON CONFLICT (tenant_id)"
                " DO UPDATE SET number = greatest(followed.number, excluded.number)",
                tenant,
                number,
            )
        return held

    async def untold(self, tenant: str, limit: int) -> list[Invoice]:
        """Return invoices of which the monolith does not know yet."""
        async with self._database.transaction("untold invoices", tenant) as transaction:
            rows = await transaction.fetch("SELECT * FROM invoices WHERE NOT is_told LIMIT $1", limit)
        return [_invoice(row) for row in rows]

    async def told(self, invoice: Invoice) -> None:
        """Note that the monolith knows."""
        async with self._database.transaction("told invoice", invoice.tenant) as transaction:
            await transaction.execute("UPDATE invoices SET is_told = true WHERE key = $1", invoice.idempotency_key)

    async def audit(self, tenant: str) -> tuple[int, int]:
        """Return how many invoices make no sense, and how many records are in quarantine."""
        query = (
            "SELECT (SELECT count(*) FROM invoices WHERE amount_cents <= 0 OR currency <> 'EUR' OR key LIKE '#%')"
            " AS bad,"
            " (SELECT count(*) FROM quarantine) AS held"
        )
        async with self._database.transaction("audit invoices", tenant) as transaction:
            row = await transaction.fetchrow(query)
        return row["bad"], row["held"]


async def _keep(transaction: Transaction, invoice: Invoice, *, blindly: bool) -> bool:
    row = await transaction.fetchrow(_OVERWRITE if blindly else _ADOPT, *_values(invoice), True)
    return row is not None


async def _hold(transaction: Transaction, tenant: str, held: Quarantined, after: int) -> None:
    await transaction.execute(
        "INSERT INTO quarantine VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, name) DO NOTHING",
        tenant,
        held.name,
        held.reason,
        json.dumps(held.record, default=str),
        after,
    )


def _values(invoice: Invoice) -> tuple[object, ...]:
    return (
        invoice.tenant,
        invoice.idempotency_key,
        invoice.amount_cents,
        invoice.currency,
        invoice.status,
        invoice.issued_s,
        invoice.due_on,
    )


def _invoice(row: Any) -> Invoice:
    return Invoice(
        row["tenant_id"],
        row["key"],
        row["amount_cents"],
        row["currency"],
        row["status"],
        row["issued_s"],
        row["due_on"],
    )
