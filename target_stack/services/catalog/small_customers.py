"""The many small customers of the pool, who make its tables as large as those of a pool are: nobody logs in as them."""

from target_stack.services.catalog.store import CHANGES_PER_PRODUCT, PRODUCTS_PER_TENANT

SMALL_CUSTOMERS = 29


def pool_script(customers: int = SMALL_CUSTOMERS) -> str:
    """Return what fills the pool of a database that has no tables yet, before policies bind and before it has indexes.

    That is quick: 290,000 price changes in half a second.
    """
    return f"""
    DO $pool$ BEGIN
    IF to_regclass('price_history') IS NULL THEN
        CREATE TABLE products (
            tenant_id text NOT NULL, sku text NOT NULL, name text NOT NULL, price_cents bigint NOT NULL,
            currency text NOT NULL, PRIMARY KEY (tenant_id, sku));
        CREATE TABLE price_history (
            tenant_id text NOT NULL, sku text NOT NULL, changed_ns bigint NOT NULL, price_cents bigint NOT NULL);
        INSERT INTO products
            SELECT 'customer-' || c, 'sku-' || n, 'Customer-' || c || ' product ' || n, 500 + 25 * n, 'EUR'
            FROM generate_series(1, {customers}) AS c, generate_series(1, {PRODUCTS_PER_TENANT}) AS n;
        INSERT INTO price_history
            SELECT 'customer-' || c, 'sku-' || n, k * 86400000000000, 400 + 25 * n + 2 * k
            FROM generate_series(1, {customers}) AS c, generate_series(1, {PRODUCTS_PER_TENANT}) AS n,
                 generate_series(1, {CHANGES_PER_PRODUCT}) AS k;
    END IF;
    END $pool$;
    """
