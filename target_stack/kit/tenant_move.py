"""Moves a tenant between pool, bridge and silo while it is served: copy, catch up, a short fence, switch.

What changes while the rows are copied is noted by a trigger and copied again. Only the last of it is copied behind the
fence, where both sides are then counted and compared; the switch is one commit at the source. A move that dies before
it has changed nothing, one that dies after it is completed by whoever looks for the tenant. The rows at the source are
kept, out of everybody's sight, until somebody forgets them or the tenant comes back.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum

from target_stack.kit import seats
from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import Clock
from target_stack.kit.database import DatabaseUnavailableError, Hold, Transaction
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.logs import Log
from target_stack.kit.seats import Place, Relation, SeatRow, SeatState
from target_stack.kit.tenancy import Tenancy
from target_stack.kit.tenant_database import TenantDatabase

BATCH = 500
FENCE_S = 0.6
"""So long requests of the tenant may wait at most; then the move gives way and tries again."""
_STEP_S = 10.0
_FEW = 20
_MOST = 5000
_ROUNDS = 50
_CARRIED = """
DELETE FROM tenant_changes AS c USING jsonb_populate_recordset(NULL::tenant_changes, $1::jsonb) AS k
WHERE (c.tenant_id, c.relation, c.key, c.version) = (k.tenant_id, k.relation, k.key, k.version)
"""


class MoveFailedError(Exception):
    """The tenant stays where it was; the message says why."""


class MoveStep(Enum):
    """The steps of a move, for whoever watches it."""

    PREPARED = "prepared"
    WATCHED = "watched"
    COPIED = "copied"
    CAUGHT_UP = "caught_up"
    COPIED_LAST = "copied_last"
    SWITCHED = "switched"
    COMPLETED = "completed"


Watcher = Callable[[str, MoveStep], None]


@dataclass(frozen=True, slots=True)
class _Route:
    tenant: str
    source: Place
    target: Place
    epoch: int


class Mover:
    """Moves one tenant at a time, each behind its own fence; *watcher* hears of each step that is done.

    Without *catches_up* it copies once and switches: what is written in between stays behind.
    """

    def __init__(
        self, database: TenantDatabase, clock: Clock, log: Log, watcher: Watcher, *, catches_up: bool = True
    ) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._watcher = watcher
        self._catches_up = catches_up

    async def move(self, tenant: str, to: Tenancy) -> None:
        """Move *tenant*; return once it is served from there. Raises MoveFailedError when it stays where it was."""
        self._hurry(tenant, _STEP_S)
        try:
            source, target = await self._database.find(tenant), await self._database.place(tenant, to)
            if source.tenancy is to:
                return
            async with self._alone(source, tenant):
                await self._move(tenant, source, target)
        except (DatabaseUnavailableError, DeadlineExceededError, LookupError) as error:
            raise MoveFailedError(str(error) or "it took too long") from error

    async def _move(self, tenant: str, source: Place, target: Place) -> None:
        route = await self._prepare(tenant, source, target)
        switching = False
        try:
            if self._catches_up:
                await self._watch(route)
            await self._copy(route)
            if self._catches_up:
                await self._catch_up(route)
            switching = True
            await self._switch(route)
        except BaseException:
            await self._give_up(route, switching=switching)
            raise
        await seats.complete(target, tenant, route.epoch)
        self._done(tenant, MoveStep.COMPLETED)
        await self._database.find(tenant)

    async def _prepare(self, tenant: str, source: Place, target: Place) -> _Route:
        """Clear the target of what an earlier move left there."""
        self._hurry(tenant, _STEP_S)
        async with source.database.transaction("read seat", tenant, source.seat(Hold.SHARED)) as transaction:
            row = await seats.read_seat(transaction)
        route = _Route(tenant, source, target, 1 + (row.epoch if row is not None else 0))
        async with target.database.transaction("prepare seat", tenant, target.seat(Hold.EXCLUSIVE)) as transaction:
            for relation in self._database.relations:
                await transaction.execute(f"DELETE FROM {relation.name} WHERE tenant_id = $1", tenant)
            await seats.write_seat(transaction, tenant, SeatRow(SeatState.ARRIVING, source.tenancy, route.epoch))
        self._done(tenant, MoveStep.PREPARED)
        return route

    async def _watch(self, route: _Route) -> None:
        """From here on every change is noted: whoever began before has ended, as nobody else holds the seat."""
        async with self._at_source(route, Hold.EXCLUSIVE, FENCE_S) as transaction:
            await transaction.execute("DELETE FROM tenant_changes")
            await transaction.execute("UPDATE tenant_seats SET leaving = 'yes'")
        self._done(route.tenant, MoveStep.WATCHED)

    async def _copy(self, route: _Route) -> None:
        for relation in self._database.relations:
            last: str | None = None
            while rows := await self._page(route, relation, last):
                await self._put(route, relation, rows, rows)
                last = rows[-1]
        self._done(route.tenant, MoveStep.COPIED)

    async def _page(self, route: _Route, relation: Relation, last: str | None) -> list[str]:
        async with self._at_source(route, Hold.NONE) as transaction:
            return [row["row"] for row in await transaction.fetch(_page(relation), last, BATCH)]

    async def _catch_up(self, route: _Route) -> None:
        for _ in range(_ROUNDS):
            async with self._at_source(route, Hold.NONE) as transaction:
                changed = await self._carry_changes(route, transaction)
            if changed < _FEW:
                return self._done(route.tenant, MoveStep.CAUGHT_UP)
        raise MoveFailedError("the tenant writes faster than it can be copied")

    async def _switch(self, route: _Route) -> None:
        """The fence: copy the last changes, compare both sides, and let the source say that the tenant has moved."""
        async with self._database.gate_closed(route.tenant), self._at_source(route, Hold.EXCLUSIVE, FENCE_S) as source:
            if self._catches_up:
                await self._carry_last(route, source)
            await seats.write_seat(source, route.tenant, SeatRow(SeatState.MOVED, route.target.tenancy, route.epoch))
        self._done(route.tenant, MoveStep.SWITCHED)

    async def _carry_last(self, route: _Route, source: Transaction) -> None:
        await self._carry_changes(route, source)
        self._done(route.tenant, MoveStep.COPIED_LAST)
        there = await self._digests_there(route)
        here = await _digests(source, self._database.relations)
        if here != there:
            raise MoveFailedError(f"the copy differs from its source: {here} and {there}")

    async def _give_up(self, route: _Route, *, switching: bool) -> None:
        """Stop noting changes, unless the switch may have happened: then whoever looks for the tenant finds out."""
        if switching:
            self._log.warning("a move ended at its switch", tenant=route.tenant, to=route.target.tenancy.value)
        try:
            async with self._at_source(route, Hold.SHARED) as transaction:
                await transaction.execute("UPDATE tenant_seats SET leaving = 'no'")
                await transaction.execute("DELETE FROM tenant_changes")
        except Exception as error:  # noqa: BLE001 - the reason for giving up matters more, and the next move clears it
            self._log.warning("a move left its notes", tenant=route.tenant, error=f"{type(error).__name__}: {error}")

    async def _carry_changes(self, route: _Route, source: Transaction) -> int:
        changes = await source.fetch(
            "SELECT relation, key::text AS key, to_jsonb(c)::text AS change FROM tenant_changes AS c LIMIT $1", _MOST
        )
        for relation in self._database.relations:
            keys = [change["key"] for change in changes if change["relation"] == relation.name]
            if keys:
                rows = await source.fetch(_rows(relation), _as_array(keys))
                await self._put(route, relation, keys, [row["row"] for row in rows])
        await source.execute(_CARRIED, _as_array([change["change"] for change in changes]))
        return len(changes)

    async def _put(self, route: _Route, relation: Relation, keys: Sequence[str], rows: Sequence[str]) -> None:
        """Replace what the target has under *keys* by *rows*."""
        where = route.target
        async with where.database.transaction("receive rows", route.tenant, where.seat(Hold.NONE)) as transaction:
            await transaction.execute(_delete(relation), _as_array(keys))
            await transaction.execute(_insert(relation), _as_array(rows))

    async def _digests_there(self, route: _Route) -> dict[str, tuple[int, str]]:
        where = route.target
        async with where.database.transaction("compare rows", route.tenant, where.seat(Hold.NONE)) as transaction:
            return await _digests(transaction, self._database.relations)

    @asynccontextmanager
    async def _at_source(self, route: _Route, hold: Hold, within_s: float = _STEP_S) -> AsyncIterator[Transaction]:
        self._hurry(route.tenant, within_s)
        where = route.source
        async with where.database.transaction("move tenant", route.tenant, where.seat(hold)) as transaction:
            yield transaction

    @asynccontextmanager
    async def _alone(self, source: Place, tenant: str) -> AsyncIterator[None]:
        """Keep other processes from moving the same tenant, for as long as this one lives."""
        set_context(CallContext(Deadline.unlimited(self._clock), named_tenant=tenant))
        async with source.database.lock(f"move {tenant}") as locked:
            if not locked:
                raise MoveFailedError("somebody else moves this tenant already")
            yield

    def _hurry(self, tenant: str, within_s: float) -> None:
        set_context(CallContext(Deadline.after(within_s, self._clock), named_tenant=tenant))

    def _done(self, tenant: str, step: MoveStep) -> None:
        self._watcher(tenant, step)


async def forget(place: Place, tenant: str, relations: Sequence[Relation]) -> bool:
    """Delete the rows that a move left at *place*, and the seat's memory stays; False when the tenant lives there."""
    async with place.database.transaction("forget tenant", tenant, place.seat(Hold.EXCLUSIVE)) as transaction:
        row = await seats.read_seat(transaction)
        if row is None or row.state is not SeatState.MOVED:
            return False
        for relation in relations:
            await transaction.execute(f"DELETE FROM {relation.name} WHERE tenant_id = $1", tenant)
        await seats.write_seat(transaction, tenant, replace(row, leaving=False))
        return True


async def _digests(transaction: Transaction, relations: Sequence[Relation]) -> dict[str, tuple[int, str]]:
    """Return count and digest of each table's rows, the same wherever they lie and in whatever order."""
    found = {}
    for relation in relations:
        row = await transaction.fetchrow(
            "SELECT count(*) AS rows, coalesce(sum(hashtextextended(to_jsonb(t)::text, 0)::numeric), 0)::text AS digest"
            f" FROM {relation.name} AS t WHERE tenant_id = current_setting('app.tenant_id')"
        )
        found[relation.name] = (row["rows"], row["digest"])
    return found


def _page(relation: Relation) -> str:
    columns = _columns("t", relation)
    last = f"SELECT {', '.join(relation.key)} FROM jsonb_populate_record(NULL::{relation.name}, $1)"
    after = f"{columns} > ({last})"
    own = "tenant_id = current_setting('app.tenant_id')"
    return (
        f"SELECT to_jsonb(t)::text AS row FROM {relation.name} AS t WHERE {own} AND ($1::jsonb IS NULL OR {after})"
        f" ORDER BY {columns} LIMIT $2"
    )


def _rows(relation: Relation) -> str:
    return (
        f"SELECT to_jsonb(t)::text AS row FROM {relation.name} AS t JOIN {_keys(relation)} USING ({_names(relation)})"
    )


def _delete(relation: Relation) -> str:
    same = f"{_columns('t', relation)} = {_columns('k', relation)}"
    return f"DELETE FROM {relation.name} AS t USING {_keys(relation)} WHERE {same}"


def _insert(relation: Relation) -> str:
    return f"INSERT INTO {relation.name} SELECT * FROM jsonb_populate_recordset(NULL::{relation.name}, $1::jsonb)"


def _keys(relation: Relation) -> str:
    names = _names(relation)
    return f"(SELECT {names} FROM jsonb_populate_recordset(NULL::{relation.name}, $1::jsonb)) AS k"


def _names(relation: Relation) -> str:
    return ", ".join(relation.key)


def _columns(of: str, relation: Relation) -> str:
    return "(" + ", ".join(f"{of}.{name}" for name in relation.key) + ")"


def _as_array(documents: Sequence[str]) -> str:
    return f"[{','.join(documents)}]"
