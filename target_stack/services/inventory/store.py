"""Stock and reservations. A reservation is known by its key: made once, released once, whichever arrives first."""

from collections.abc import Iterable, Mapping
from enum import Enum

from target_stack.kit.database import Database, Transaction

FULL_SHELF = 1_000_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (
    tenant_id text NOT NULL, sku text NOT NULL, available bigint NOT NULL CHECK (available >= 0),
    PRIMARY KEY (tenant_id, sku));
CREATE TABLE IF NOT EXISTS reservations (
    tenant_id text NOT NULL, key text NOT NULL, released boolean NOT NULL,
    skus text[] NOT NULL, quantities bigint[] NOT NULL,
    PRIMARY KEY (tenant_id, key));
ALTER TABLE stock ENABLE ROW LEVEL SECURITY;
ALTER TABLE stock FORCE ROW LEVEL SECURITY;
ALTER TABLE reservations ENABLE ROW LEVEL SECURITY;
ALTER TABLE reservations FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON stock;
DROP POLICY IF EXISTS own_rows ON reservations;
CREATE POLICY own_rows ON stock USING (tenant_id = current_setting('app.tenant_id', true));
CREATE POLICY own_rows ON reservations USING (tenant_id = current_setting('app.tenant_id', true));
"""
_MOVE = """
WITH wanted AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS w (sku, quantity)),
     locked AS (SELECT sku FROM stock WHERE sku = ANY ($1) ORDER BY sku FOR UPDATE)
UPDATE stock SET available = available - wanted.quantity FROM wanted JOIN locked USING (sku)
WHERE stock.sku = wanted.sku AND available >= wanted.quantity RETURNING stock.sku
"""


class Reserved(Enum):
    """What became of a wish to reserve."""

    RESERVED = "reserved"
    RELEASED_BEFORE = "released_before"
    OUT_OF_STOCK = "out_of_stock"


class _OutOfStockError(Exception):
    """Rolls the transaction back."""


class InventoryStore:
    """Moves stock between shelf and reservations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fill_shelves(self, tenants: Iterable[str], products: int) -> None:
        """Fill every shelf: the sample stack shall never run out under load."""
        for tenant in tenants:
            async with self._database.transaction("fill shelves", tenant) as transaction:
                await transaction.execute(
                    "INSERT INTO stock SELECT $1, 'sku-' || n, $3::bigint FROM generate_series(1, $2::int) AS n"
                    " ON CONFLICT (tenant_id, sku) DO UPDATE SET available = excluded.available",
                    tenant,
                    products,
                    FULL_SHELF,
                )

    async def reserve(self, tenant: str, key: str, quantities: Mapping[str, int]) -> Reserved:
        """Reserve all of *quantities* (units by sku) or nothing; a known key changes nothing."""
        try:
            async with self._database.transaction("reserve stock", tenant) as transaction:
                return await _reserve(transaction, tenant, key, quantities)
        except _OutOfStockError:
            return Reserved.OUT_OF_STOCK

    async def release(self, tenant: str, key: str) -> None:
        """Put back what the key reserved; a key never seen is closed for good, as its reservation may still come."""
        async with self._database.transaction("release stock", tenant) as transaction:
            row = await transaction.fetchrow(
                "SELECT skus, quantities FROM reservations WHERE key = $1 AND NOT released FOR UPDATE", key
            )
            await transaction.execute(
                "INSERT INTO reservations VALUES ($1, $2, true, '{}', '{}')"
                " ON CONFLICT (tenant_id, key) DO UPDATE SET released = true",
                tenant,
                key,
            )
            if row is not None:
                await transaction.fetch(_MOVE, row["skus"], [-quantity for quantity in row["quantities"]])

    async def available(self, tenant: str, sku: str) -> int | None:
        """Return the units on the shelf; None for a sku that is not kept."""
        async with self._database.transaction("count stock", tenant) as transaction:
            row = await transaction.fetchrow("SELECT available FROM stock WHERE sku = $1", sku)
        return None if row is None else row["available"]


async def _reserve(transaction: Transaction, tenant: str, key: str, quantities: Mapping[str, int]) -> Reserved:
    skus, units = list(quantities), list(quantities.values())
    made = await transaction.execute(
        "INSERT INTO reservations VALUES ($1, $2, false, $3, $4) ON CONFLICT DO NOTHING", tenant, key, skus, units
    )
    if made == "INSERT 0 0":
        row = await transaction.fetchrow("SELECT released FROM reservations WHERE key = $1", key)
        return Reserved.RELEASED_BEFORE if row["released"] else Reserved.RESERVED
    if len(await transaction.fetch(_MOVE, skus, units)) < len(skus):
        raise _OutOfStockError
    return Reserved.RESERVED
