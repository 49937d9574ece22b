"""Where the rows of a tenant are, kept beside the rows themselves, so that no copy of the answer can be out of date.

Each place that can hold a tenant (the pool, its schema, its own database) has a seat for it. Ordinary transactions look
at it in their first round trip, under a lock that a move takes alone: this is the fence. A move goes

    source: here            target: arriving     copy, catch up, fence
    source: moved           target: arriving     the switch: one commit, at the source
    source: moved           target: here

so that at most one seat says `here` at any time, and whoever finds none completes what the switch began.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from target_stack.kit.database import Database, Hold, Seat, Transaction
from target_stack.kit.tenancy import Tenancy

_TABLES = """
CREATE TABLE IF NOT EXISTS tenant_seats (
    tenant_id text PRIMARY KEY, state text NOT NULL CHECK (state IN ('here', 'arriving', 'moved')),
    other text NOT NULL, epoch int NOT NULL, leaving text NOT NULL);
CREATE TABLE IF NOT EXISTS tenant_changes (
    tenant_id text NOT NULL, relation text NOT NULL, key jsonb NOT NULL, version bigint NOT NULL,
    PRIMARY KEY (tenant_id, relation, key));
ALTER TABLE tenant_seats ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_seats FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_changes FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON tenant_seats;
DROP POLICY IF EXISTS own_rows ON tenant_changes;
CREATE POLICY own_rows ON tenant_seats USING (tenant_id = current_setting('app.tenant_id', true));
CREATE POLICY own_rows ON tenant_changes USING (tenant_id = current_setting('app.tenant_id', true));
CREATE OR REPLACE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tenant_changes
    SELECT current_setting('app.tenant_id'), TG_TABLE_NAME, jsonb_object_agg(name, touched -> name), 1
    FROM unnest(TG_ARGV) AS name, to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END) AS touched
    ON CONFLICT (tenant_id, relation, key) DO UPDATE SET version = tenant_changes.version + 1;
    RETURN NULL;
END $$;
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {relation} FOR EACH ROW
    WHEN (current_setting('app.leaving', true) = 'yes') EXECUTE FUNCTION note_change({key});
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that moves with its tenant; `key` is its primary key, whose columns never change."""

    name: str
    key: tuple[str, ...]


class SeatState(Enum):
    """What a seat says."""

    HERE = "here"
    ARRIVING = "arriving"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class SeatRow:
    """A seat as its row says: `other` is where the tenant went to or comes from, `epoch` counts its moves."""

    state: SeatState
    other: Tenancy
    epoch: int
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A database and schema that can hold a tenant."""

    tenancy: Tenancy
    database: Database
    schema: str

    def seat(self, hold: Hold) -> Seat:
        """Return the seat for one transaction."""
        return Seat(self.schema, hold)


class Step(Enum):
    """What is left to do before a tenant can be served."""

    NOTHING = "nothing"
    COMPLETE = "complete"  # the switch was made, the target has not heard of it
    CREATE = "create"  # it was never here before


@dataclass(frozen=True, slots=True)
class Home:
    """Where a tenant is to be served."""

    tenancy: Tenancy
    step: Step


def find_home(seats: Mapping[Tenancy, SeatRow], configured: Tenancy) -> Home:
    """Decide from all seats of a tenant; raise LookupError where they contradict each other."""
    here = [tenancy for tenancy, row in seats.items() if row.state is SeatState.HERE]
    if len(here) == 1:
        return Home(here[0], Step.NOTHING)
    if not seats:
        return Home(configured, Step.CREATE)
    switched = [tenancy for tenancy, row in seats.items() if not here and _was_switched_to(tenancy, row, seats)]
    if len(switched) == 1:
        return Home(switched[0], Step.COMPLETE)
    msg = f"the seats of a tenant contradict each other: {dict(seats)}"
    raise LookupError(msg)


def _was_switched_to(tenancy: Tenancy, row: SeatRow, seats: Mapping[Tenancy, SeatRow]) -> bool:
    source = seats.get(row.other)
    left = source is not None and source.state is SeatState.MOVED and source.other is tenancy
    return row.state is SeatState.ARRIVING and left and source is not None and source.epoch == row.epoch


def tables(schema: str, script: str, relations: tuple[Relation, ...]) -> str:
    """Return the script that makes everything a place needs, the service's own tables by *script*."""
    triggers = "".join(_TRIGGER.format(relation=each.name, key=", ".join(each.key)) for each in relations)
    made = "" if schema == "public" else f'CREATE SCHEMA IF NOT EXISTS "{schema}";'
    return f'{made} SET LOCAL search_path = "{schema}"; {script} {_TABLES} {triggers}'


async def read_seat(transaction: Transaction) -> SeatRow | None:
    """Return the seat of the transaction's tenant."""
    row = await transaction.fetchrow("SELECT * FROM tenant_seats")
    if row is None:
        return None
    return SeatRow(SeatState(row["state"]), Tenancy(row["other"]), row["epoch"], row["leaving"] == "yes")


async def write_seat(transaction: Transaction, tenant: str, row: SeatRow) -> None:
    """Make the seat say *row*."""
    await transaction.execute(
        "INSERT INTO tenant_seats VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id) DO UPDATE"
        " SET state = excluded.state, other = excluded.other, epoch = excluded.epoch, leaving = excluded.leaving",
        tenant,
        row.state.value,
        row.other.value,
        row.epoch,
        "yes" if row.leaving else "no",
    )


async def take_first_seat(place: Place, tenant: str) -> None:
    """Seat a tenant that has no seat anywhere; several processes may do so at once."""
    async with place.database.transaction("seat tenant", tenant, place.seat(Hold.NONE)) as transaction:
        await transaction.execute(
            "INSERT INTO tenant_seats VALUES ($1, 'here', $2, 0, 'no') ON CONFLICT DO NOTHING",
            tenant,
            place.tenancy.value,
        )


async def complete(place: Place, tenant: str, epoch: int) -> None:
    """Make the tenant welcome where the switch of *epoch* sent it; harmless when somebody else did so before."""
    async with place.database.transaction("complete move", tenant, place.seat(Hold.NONE)) as transaction:
        await transaction.execute(
            "UPDATE tenant_seats SET state = 'here' WHERE state = 'arriving' AND epoch = $1", epoch
        )
