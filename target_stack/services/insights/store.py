"""What each tenant sold, summed up event by event.

Everything stands under a generation. A rebuild fills the next one beside the one that answers, then they change places.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from target_stack.kit import inbox
from target_stack.kit.database import Database, Transaction
from target_stack.kit.events import Event, EventRejectedError, count_of, text_of
from target_stack.kit.inbox import Admission, admit

CONFIRMED = "orders.confirmed"
FAILED = "orders.failed"
TOP = 5
_MAX_QUANTITY = 1_000_000
_POLICIES = "".join(
    f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON {table};
CREATE POLICY own_rows ON {table} USING (tenant_id = current_setting('app.tenant_id', true));
"""
    for table in ("totals", "product_totals")
)
SCHEMA = (
    inbox.SCHEMA
    + """
CREATE TABLE IF NOT EXISTS totals (
    tenant_id text NOT NULL, generation int NOT NULL, orders bigint NOT NULL, revenue_cents bigint NOT NULL,
    failed bigint NOT NULL, newest_ns bigint NOT NULL, PRIMARY KEY (tenant_id, generation));
CREATE TABLE IF NOT EXISTS product_totals (
    tenant_id text NOT NULL, generation int NOT NULL, sku text NOT NULL, quantity bigint NOT NULL,
    revenue_cents bigint NOT NULL, PRIMARY KEY (tenant_id, generation, sku));
CREATE TABLE IF NOT EXISTS read_side (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), generation int NOT NULL, as_of_ns bigint NOT NULL);
INSERT INTO read_side VALUES (true, 1, 0) ON CONFLICT DO NOTHING;
"""
    + _POLICIES
)
_SUM_UP = """
INSERT INTO totals VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, generation) DO UPDATE SET orders = totals.orders + excluded.orders,
    revenue_cents = totals.revenue_cents + excluded.revenue_cents, failed = totals.failed + excluded.failed,
    newest_ns = greatest(totals.newest_ns, excluded.newest_ns)
"""
_SUM_UP_PRODUCTS = """
INSERT INTO product_totals SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (tenant_id, generation, sku) DO UPDATE SET quantity = product_totals.quantity + excluded.quantity,
    revenue_cents = product_totals.revenue_cents + excluded.revenue_cents
"""
_TOP = "SELECT * FROM product_totals WHERE generation = $1 ORDER BY revenue_cents DESC, sku LIMIT $2"
_PRODUCTS = "SELECT * FROM product_totals WHERE generation = $1 ORDER BY sku"


@dataclass(frozen=True, slots=True)
class ProductTotal:
    """How much of one product was sold."""

    sku: str
    quantity: int
    revenue_cents: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a tenant sold; `tenant` is read from its row where there is one."""

    tenant: str
    orders: int
    revenue_cents: int
    failed: int
    top_products: tuple[ProductTotal, ...]


class InsightsStore:
    """Sums up and reads; `generation` is the one that answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.generation = 1

    async def load(self) -> int:
        """Find out which generation answers; return its last known `as_of_ns`, 0 when there is none."""
        async with self._database.transaction("load read side") as transaction:
            row = await transaction.fetchrow("SELECT generation, as_of_ns FROM read_side")
        self.generation = row["generation"]
        return int(row["as_of_ns"])

    async def save_as_of(self, as_of_ns: int) -> None:
        """Remember how far the read side is, for the time after a restart."""
        async with self._database.transaction("save read side") as transaction:
            await transaction.execute("UPDATE read_side SET as_of_ns = $1", as_of_ns)

    async def apply(self, event: Event, generation: int) -> Admission:
        """Add *event* to the sums of *generation*, once; raise TooEarlyError before its turn."""
        async with self._database.transaction("apply event", event.tenant) as transaction:
            admission = await admit(transaction, event, str(generation))
            if admission is Admission.NEW:
                await _sum_up(transaction, event, generation)
        return admission

    async def summary(self, tenant: str) -> Summary:
        """Return the sums of *tenant*."""
        async with self._database.transaction("read summary", tenant) as transaction:
            totals = await transaction.fetchrow("SELECT * FROM totals WHERE generation = $1", self.generation)
            top = await transaction.fetch(_TOP, self.generation, TOP)
        return _summary(tenant, totals, top)

    async def digest(self, tenant: str) -> str:
        """Return a text that is the same exactly when the sums of *tenant* are."""
        async with self._database.transaction("read sums", tenant) as transaction:
            totals = await transaction.fetchrow("SELECT * FROM totals WHERE generation = $1", self.generation)
            products = await transaction.fetch(_PRODUCTS, self.generation)
        return hashlib.sha256(json.dumps(asdict(_summary(tenant, totals, products))).encode()).hexdigest()

    async def change_places(self, generation: int) -> None:
        """Let *generation* answer from now on."""
        async with self._database.transaction("change generation") as transaction:
            await transaction.execute("UPDATE read_side SET generation = $1", generation)
        self.generation = generation

    async def drop_all_but(self, generation: int, tenant: str) -> None:
        """Forget what other generations hold of *tenant*."""
        async with self._database.transaction("drop generations", tenant) as transaction:
            await transaction.execute("DELETE FROM totals WHERE generation <> $1", generation)
            await transaction.execute("DELETE FROM product_totals WHERE generation <> $1", generation)
            await transaction.execute("DELETE FROM inbox WHERE part <> $1", str(generation))


async def _sum_up(transaction: Transaction, event: Event, generation: int) -> None:
    if event.type == FAILED:
        await transaction.execute(_SUM_UP, event.tenant, generation, 0, 0, 1, event.occurred_ns)
        return
    if event.type != CONFIRMED:
        return
    lines = _lines(event)
    total_cents = count_of(event.data, "total_cents")
    await transaction.execute(_SUM_UP, event.tenant, generation, 1, total_cents, 0, event.occurred_ns)
    skus, quantities = [line.sku for line in lines], [line.quantity for line in lines]
    await transaction.execute(
        _SUM_UP_PRODUCTS, event.tenant, generation, skus, quantities, [line.revenue_cents for line in lines]
    )


def _lines(event: Event) -> list[ProductTotal]:
    lines = event.data.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise EventRejectedError("data.lines must be a list of objects")
    read = [_line(line) for line in lines]
    if len({line.sku for line in read}) < len(read):
        raise EventRejectedError("data.lines names a product twice")
    return read


def _line(line: dict[str, Any]) -> ProductTotal:
    quantity = count_of(line, "quantity", _MAX_QUANTITY)
    return ProductTotal(text_of(line, "sku"), quantity, quantity * count_of(line, "price_cents", 10**12))


def _summary(tenant: str, totals: Any, products: list[Any]) -> Summary:
    found = tuple(ProductTotal(row["sku"], row["quantity"], row["revenue_cents"]) for row in products)
    if totals is None:
        return Summary(tenant, 0, 0, 0, found)
    return Summary(totals["tenant_id"], totals["orders"], totals["revenue_cents"], totals["failed"], found)
