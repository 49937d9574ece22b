"""Products and their price history: row-level security keeps tenants apart, every index is led by the tenant."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from target_stack.kit.database import Transactions
from target_stack.kit.seats import Relation

PRODUCTS_PER_TENANT = 200
CHANGES_PER_PRODUCT = 50
RELATIONS = (
    Relation("products", ("tenant_id", "sku")),
    Relation("price_history", ("tenant_id", "sku", "changed_ns")),
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    tenant_id text NOT NULL, sku text NOT NULL, name text NOT NULL, price_cents bigint NOT NULL, currency text NOT NULL,
    PRIMARY KEY (tenant_id, sku));
CREATE TABLE IF NOT EXISTS price_history (
    tenant_id text NOT NULL, sku text NOT NULL, changed_ns bigint NOT NULL, price_cents bigint NOT NULL);
ALTER TABLE products ENABLE ROW LEVEL SECURITY;
ALTER TABLE products FORCE ROW LEVEL SECURITY;
ALTER TABLE price_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE price_history FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON products;
DROP POLICY IF EXISTS own_rows ON price_history;
CREATE POLICY own_rows ON products USING (tenant_id = current_setting('app.tenant_id', true));
CREATE POLICY own_rows ON price_history USING (tenant_id = current_setting('app.tenant_id', true));
CREATE UNIQUE INDEX IF NOT EXISTS price_history_by_product ON price_history (tenant_id, sku, changed_ns);
"""
_DAY_NS = 86_400_000_000_000
_HISTORY = f"""
INSERT INTO price_history SELECT $1, 'sku-' || n, k * {_DAY_NS}, 400 + 25 * n + 2 * k
FROM generate_series(1, $2::int) AS n, generate_series(1, $3::int) AS k
WHERE NOT EXISTS (SELECT FROM price_history WHERE tenant_id = $1)
"""
_CHANGES = """
SELECT h.tenant_id, h.sku, h.changed_ns, h.price_cents
FROM (SELECT sku FROM products WHERE sku >= $1 ORDER BY sku LIMIT $2) AS wanted
CROSS JOIN LATERAL (
    SELECT * FROM price_history WHERE price_history.sku = wanted.sku ORDER BY changed_ns DESC LIMIT $3) AS h
"""
_SCANS = "SELECT relname, sum(seq_scan)::bigint AS scans FROM pg_stat_user_tables GROUP BY relname"


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `tenant` is read from its row, not from the request: it is evidence."""

    tenant: str
    sku: str
    name: str
    price_cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What a product cost from a moment on."""

    tenant: str
    sku: str
    changed_ns: int
    price_cents: int


class CatalogStore:
    """Reads the products that a tenant may see."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def seed(self, tenants: Iterable[str]) -> None:
        """Give each tenant its products; prices are a function of the number, so that tests know them."""
        for tenant in tenants:
            async with self._database.transaction("seed products", tenant) as transaction:
                await transaction.execute(
                    "INSERT INTO products SELECT $1, 'sku-' || n, initcap($1) || ' product ' || n, 500 + 25 * n, 'EUR'"
                    " FROM generate_series(1, $2::int) AS n ON CONFLICT DO NOTHING",
                    tenant,
                    PRODUCTS_PER_TENANT,
                )
                await transaction.execute(_HISTORY, tenant, PRODUCTS_PER_TENANT, CHANGES_PER_PRODUCT)

    async def list_products(self, tenant: str, after: str, limit: int) -> list[Product]:
        """Return up to *limit* products whose sku follows *after*."""
        async with self._database.transaction("list products", tenant) as transaction:
            rows = await transaction.fetch("SELECT * FROM products WHERE sku > $1 ORDER BY sku LIMIT $2", after, limit)
        return [_product(row) for row in rows]

    async def find_product(self, tenant: str, sku: str) -> Product | None:
        """Return one product, or None."""
        async with self._database.transaction("find product", tenant) as transaction:
            row = await transaction.fetchrow("SELECT * FROM products WHERE sku = $1", sku)
        return None if row is None else _product(row)

    async def price_changes(self, tenant: str, sku: str, products: int, limit: int) -> list[PriceChange]:
        """Return the last *limit* price changes of each of *products* products from *sku* on, the newest first."""
        async with self._database.transaction("price history", tenant) as transaction:
            rows = await transaction.fetch(_CHANGES, sku, products, limit)
        return [PriceChange(row["tenant_id"], row["sku"], row["changed_ns"], row["price_cents"]) for row in rows]

    async def table_scans(self) -> dict[str, int]:
        """Return how often each table of the shared database was read from end to end since the server started."""
        async with self._database.transaction("count scans") as transaction:
            rows = await transaction.fetch(_SCANS)
        return {row["relname"]: row["scans"] for row in rows}


def _product(row: Any) -> Product:
    return Product(row["tenant_id"], row["sku"], row["name"], row["price_cents"], row["currency"])
