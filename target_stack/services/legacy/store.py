"""The monolith's one table."""

from typing import Any

from target_stack.kit.database import Database
from target_stack.kit.invoices import Page
from target_stack.services.legacy.model import Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS beleg (
    lfdnr bigserial PRIMARY KEY, mandant text NOT NULL, extref text NOT NULL, betrag text, wkz text, status text,
    beldat text, zeit text, faellig text, UNIQUE (mandant, extref));
CREATE INDEX IF NOT EXISTS beleg_lfd ON beleg (mandant, lfdnr);
"""
_ISSUED_S = """
extract(epoch FROM to_timestamp(beldat || zeit, 'DD.MM.YYYYHH24MISS') AT TIME ZONE current_setting('TimeZone'))::bigint
- 3600
"""


class LegacyStore:
    """Reads and writes records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, record: Record) -> Record:
        """Keep a record, once for each EXTREF, and return the one that is kept.

        Writers of one mandant wait for each other: numbers must become visible in their order.
        """
        async with self._database.transaction("put beleg") as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock(hashtext($1))", record["MANDANT"])
            await transaction.execute(
                "INSERT INTO beleg (mandant, extref, betrag, wkz, status, beldat, zeit, faellig)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                *(record[name] for name in _COLUMNS),
            )
            query = "SELECT * FROM beleg WHERE mandant = $1 AND extref = $2"
            return _record(await transaction.fetchrow(query, record["MANDANT"], record["EXTREF"]))

    async def changed(self, mandant: str, after: int, limit: int) -> list[Record]:
        """Return records whose number follows *after*."""
        query = "SELECT * FROM beleg WHERE mandant = $1 AND lfdnr > $2 ORDER BY lfdnr LIMIT $3"
        async with self._database.transaction("changed beleg") as transaction:
            return [_record(row) for row in await transaction.fetch(query, mandant, after, limit)]

    async def page(self, mandant: str, page: Page) -> list[Record]:
        """Return a page of records in the order of their issue."""
        query = (
            f"SELECT * FROM (SELECT *, {_ISSUED_S} AS issued_s FROM beleg WHERE mandant = $1) AS b"
            ' WHERE issued_s >= $2 AND (issued_s, extref COLLATE "C") > ($3, $4)'
            ' ORDER BY issued_s, extref COLLATE "C" LIMIT $5'
        )
        async with self._database.transaction("list beleg") as transaction:
            rows = await transaction.fetch(query, mandant, page.since_s, *page.after, page.limit)
        return [_record(row) for row in rows]


_COLUMNS = ("MANDANT", "EXTREF", "BETRAG", "WKZ", "STATUS", "BELDAT", "ZEIT", "FAELLIG")


def _record(row: Any) -> Record:
    return {"LFDNR": row["lfdnr"], **{name: row[name.lower()] for name in _COLUMNS}}
