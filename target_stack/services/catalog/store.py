"""Products of all tenants in one table: row-level security keeps them apart, the index is led by the tenant."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from target_stack.kit.database import Database

PRODUCTS_PER_TENANT = 200
SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    tenant_id text NOT NULL, sku text NOT NULL, name text NOT NULL, price_cents bigint NOT NULL, currency text NOT NULL,
    PRIMARY KEY (tenant_id, sku));
ALTER TABLE products ENABLE ROW LEVEL SECURITY;
ALTER TABLE products FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON products;
CREATE POLICY own_rows ON products USING (tenant_id = current_setting('app.tenant_id', true));
"""


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `tenant` is read from its row, not from the request: it is evidence."""

    tenant: str
    sku: str
    name: str
    price_cents: int
    currency: str


class CatalogStore:
    """Reads the products that a tenant may see."""

    def __init__(self, database: Database) -> None:
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


def _product(row: Any) -> Product:
    return Product(row["tenant_id"], row["sku"], row["name"], row["price_cents"], row["currency"])
