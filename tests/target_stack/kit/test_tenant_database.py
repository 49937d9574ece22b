"""Pool, bridge and silo with the same store code, and moves between them, against a real PostgreSQL."""

import asyncio
import io
from dataclasses import dataclass

import pytest

from target_stack.kit import seats
from target_stack.kit.clock import SystemClock
from target_stack.kit.database import Database, DatabaseLink, DatabaseUnavailableError, Hold
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.seats import Relation
from target_stack.kit.telemetry import Tracing
from target_stack.kit.tenancy import Tenancy, Tenant
from target_stack.kit.tenant_database import TenantDatabase
from target_stack.kit.tenant_move import MoveFailedError, Mover, MoveStep, forget

CLOCK = SystemClock()
TENANTS = ("acme", "globex", "initech")
RELATIONS = (Relation("notes", ("tenant_id", "id")),)
SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    tenant_id text NOT NULL, id bigint NOT NULL, body text NOT NULL, tags text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON notes;
CREATE POLICY own_rows ON notes USING (tenant_id = current_setting('app.tenant_id', true));
"""
ALL_THREE = {"acme": Tenancy.SILO, "globex": Tenancy.BRIDGE, "initech": Tenancy.POOL}
everywhere = pytest.mark.parametrize("tenant", TENANTS, ids=["silo", "bridge", "pool"])
MOVES = [(a, b) for a in Tenancy for b in Tenancy if a is not b]
routes = pytest.mark.parametrize(("start", "to"), MOVES, ids=[f"{a.value} to {b.value}" for a, b in MOVES])


@pytest.fixture(scope="session")
def server(postgres):
    for name in ("places", *(f"places_{tenant}" for tenant in TENANTS)):
        postgres.create(name)
    return postgres


@pytest.fixture(params=["owner", "superuser"])
def login(request):
    return request.param


@pytest.fixture
def fresh(server):
    """Databases in which nothing lies."""
    for name in ("places", *(f"places_{tenant}" for tenant in TENANTS)):
        drop = "".join(f'DROP SCHEMA IF EXISTS "tenant_{tenant}" CASCADE;' for tenant in TENANTS)
        server.run(f"{drop} DROP TABLE IF EXISTS notes, tenant_seats, tenant_changes, tables_made", database=name)
    return server


@dataclass
class Stage:
    """Databases of one process; several can be open at once."""

    server: object
    login: str = "owner"
    isolated: bool = True

    def database(self, tenancy, silos=TENANTS):
        tenants = {name: Tenant(name, "gold", "", "", how) for name, how in tenancy.items()}
        return TenantDatabase(
            self._link("places"),
            {name: self._link(f"places_{name}") for name in silos},
            tenants,
            relations=RELATIONS,
            is_isolated=self.isolated,
            log=Log("notes", CLOCK, io.StringIO()),
        )

    def _link(self, name):
        user = name if self.login == "owner" else "postgres"
        link = DatabaseLink("notes", name, f"postgresql://{user}@127.0.0.1:{self.server.port}/{name}")
        log = Log("notes", CLOCK, io.StringIO())
        return Database(link, clock=CLOCK, tracing=Tracing("notes", None), metrics=Metrics(), log=log)

    def play(self, story, tenancy=ALL_THREE):
        async def act():
            database = self.database(tenancy)
            await database.open(SCHEMA)
            try:
                return await story(database)
            finally:
                await database.close()

        return asyncio.run(asyncio.wait_for(act(), 60))


async def write(database, tenant, number, body="x", of=None):
    async with database.transaction("write", tenant) as transaction:
        await transaction.execute(
            "INSERT INTO notes VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, id) DO UPDATE SET body = excluded.body",
            of or tenant,
            number,
            body,
            ["a b", 'c"d'],
        )


async def read(database, tenant):
    async with database.transaction("read", tenant) as transaction:
        rows = await transaction.fetch("SELECT tenant_id, id, body FROM notes ORDER BY id")
    return [tuple(row) for row in rows]


def mover(database, watcher=lambda tenant, step: None):
    return Mover(database, CLOCK, Log("notes", CLOCK, io.StringIO()), watcher)


# -- the three models --------------------------------------------------------------------------------------------------


@everywhere
def test_each_model_keeps_the_same_rows_apart(fresh, login, tenant):
    async def story(database):
        for each in TENANTS:
            await write(database, each, 1, f"of {each}")
        return await read(database, tenant)

    assert Stage(fresh, login).play(story) == [(tenant, 1, f"of {tenant}")]


@everywhere
def test_no_model_takes_a_row_of_another_tenant(fresh, login, tenant):
    async def story(database):
        for other in set(TENANTS) - {tenant}:
            with pytest.raises(Exception, match="row-level security"):
                await write(database, tenant, 1, of=other)
        return [await read(database, each) for each in TENANTS]

    assert Stage(fresh, login).play(story) == [[], [], []]


def test_the_rows_lie_where_the_model_says(fresh):
    async def story(database):
        for each in TENANTS:
            await write(database, each, 1)

    Stage(fresh).play(story)
    assert fresh.run("SELECT tenant_id FROM public.notes", database="places") == "initech"
    assert fresh.run("SELECT tenant_id FROM tenant_globex.notes", database="places") == "globex"
    assert fresh.run("SELECT tenant_id FROM public.notes", database="places_acme") == "acme"


def test_nothing_sticks_to_a_connection_that_models_share(fresh, login):
    async def story(database):
        for each in TENANTS:
            await write(database, each, 1)
        seen = await asyncio.gather(*(read(database, tenant) for tenant in TENANTS * 20))
        return {(tenant, *rows) for tenant, rows in zip(TENANTS * 20, seen, strict=True)}

    assert Stage(fresh, login).play(story) == {(tenant, (tenant, 1, "x")) for tenant in TENANTS}


def test_without_isolation_the_pool_shows_everything(fresh):
    async def story(database):
        for each in TENANTS:
            await write(database, each, 1)
        return [await read(database, each) for each in TENANTS]

    everything = sorted((tenant, 1, "x") for tenant in TENANTS)
    seen = Stage(fresh, isolated=False).play(story, dict.fromkeys(TENANTS, Tenancy.POOL))
    assert [sorted(rows) for rows in seen] == [everything] * 3


def test_a_silo_out_of_reach_is_its_own_tenants_trouble(fresh, monkeypatch):
    monkeypatch.setattr("target_stack.kit.tenant_database._OPEN_WITHIN_S", 0.2)

    async def act():
        database = Stage(fresh).database(ALL_THREE)
        database._silos = {"acme": Stage(fresh)._link("nowhere")}
        await database.open(SCHEMA)
        try:
            await write(database, "initech", 1)
            with pytest.raises(DatabaseUnavailableError):
                await write(database, "acme", 1)
            return await read(database, "initech")
        finally:
            await database.close()

    assert asyncio.run(asyncio.wait_for(act(), 30)) == [("initech", 1, "x")]


# -- moves -------------------------------------------------------------------------------------------------------------


@routes
def test_a_move_takes_all_rows_along_and_can_be_undone(fresh, login, start, to):
    async def story(database):
        rows = [("globex", number, f"note {number} \u2603") for number in range(1200)]
        async with database.transaction("fill", "globex") as transaction:
            await transaction.execute(
                "INSERT INTO notes SELECT 'globex', n, 'note ' || n || ' \u2603' FROM generate_series(0, 1199) AS n"
            )
        for where in (to, start):
            await mover(database).move("globex", where)
            assert database.home_of("globex") is where
            assert await read(database, "globex") == rows
        return await read(database, "acme")

    assert Stage(fresh, login).play(story, {**ALL_THREE, "globex": start}) == []


@routes
def test_writes_during_a_move_are_neither_lost_nor_doubled(fresh, start, to):
    async def story(database):
        acknowledged, ended = {}, asyncio.Event()

        async def keep_writing(worker):
            number = worker
            while not ended.is_set():
                await write(database, "globex", number, f"{worker}-{number}")
                acknowledged[number] = f"{worker}-{number}"
                if number % 3 == 0:
                    await write(database, "globex", number, "changed")
                    acknowledged[number] = "changed"
                if number % 5 == 0:
                    async with database.transaction("delete", "globex") as transaction:
                        await transaction.execute("DELETE FROM notes WHERE id = $1", number)
                    del acknowledged[number]
                number += 4

        writers = [asyncio.create_task(keep_writing(worker)) for worker in range(4)]
        for where in (to, start, to):
            await asyncio.sleep(0.05)
            await mover(database).move("globex", where)
        await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*writers)
        assert len(acknowledged) > 20
        assert await read(database, "globex") == [("globex", n, acknowledged[n]) for n in sorted(acknowledged)]

    Stage(fresh).play(story, {**ALL_THREE, "globex": start})


@pytest.mark.parametrize("last", list(MoveStep), ids=lambda step: step.value)
@routes
def test_a_move_that_dies_anywhere_leaves_one_home_with_all_rows(fresh, start, to, last):
    class Killed(BaseException):
        pass

    def die(_tenant, step):
        if step is last:
            raise Killed

    async def first_life(database):
        for number in range(30):
            await write(database, "globex", number)
        mortal = mover(database, die)
        mortal._give_up = lambda route, switching: asyncio.sleep(0)
        with pytest.raises(Killed):
            await mortal.move("globex", to)

    async def second_life(database):
        home = database.home_of("globex")
        await write(database, "globex", 30)
        assert await read(database, "globex") == [("globex", number, "x") for number in range(31)]
        await mover(database).move("globex", to)
        assert await read(database, "globex") == [("globex", number, "x") for number in range(31)]
        return home

    stage, tenancy = Stage(fresh), {**ALL_THREE, "globex": start}
    stage.play(first_life, tenancy)
    home = stage.play(second_life, tenancy)
    assert home is (to if last in (MoveStep.SWITCHED, MoveStep.COMPLETED) else start)


def test_another_process_follows_a_move_and_only_one_moves(fresh):
    async def story(database):
        other = Stage(fresh).database(ALL_THREE)
        await other.open(SCHEMA)
        try:
            await write(other, "initech", 1)
            ends = await asyncio.gather(
                *(mover(each).move("initech", Tenancy.SILO) for each in (database, other)), return_exceptions=True
            )
            assert [type(end) for end in ends if end is not None] in ([MoveFailedError], [])
            await write(other, "initech", 2)
            return await read(database, "initech"), await read(other, "initech")
        finally:
            await other.close()

    rows = [("initech", 1, "x"), ("initech", 2, "x")]
    assert Stage(fresh).play(story) == (rows, rows)


def test_a_copy_that_differs_is_not_switched_to(fresh):
    async def story(database):
        await write(database, "initech", 1)
        there = await database.place("initech", Tenancy.SILO)

        def spoil(_tenant, step):
            if step is MoveStep.CAUGHT_UP:
                fresh.run("UPDATE notes SET body = 'spoilt'", database="places_initech")

        with pytest.raises(MoveFailedError, match="differs"):
            await mover(database, spoil).move("initech", Tenancy.SILO)
        async with there.database.transaction("look", "initech", there.seat(Hold.NONE)) as transaction:
            assert (await seats.read_seat(transaction)).state is seats.SeatState.ARRIVING
        await write(database, "initech", 2)
        return await read(database, "initech")

    assert Stage(fresh).play(story) == [("initech", 1, "x"), ("initech", 2, "x")]


def test_without_catching_up_what_is_written_meanwhile_stays_behind(fresh):
    async def story(database):
        await write(database, "initech", 1)

        def write_one_more(_tenant, step):
            if step is MoveStep.COPIED:
                fresh.run("INSERT INTO notes VALUES ('initech', 2, 'x')", database="places")

        naive = Mover(database, CLOCK, Log("notes", CLOCK, io.StringIO()), write_one_more, catches_up=False)
        await naive.move("initech", Tenancy.SILO)
        return await read(database, "initech")

    assert Stage(fresh).play(story) == [("initech", 1, "x")]


def test_the_source_is_kept_until_it_is_forgotten(fresh):
    async def story(database):
        await write(database, "initech", 1)
        source = await database.place("initech", Tenancy.POOL)
        await mover(database).move("initech", Tenancy.SILO)
        kept = fresh.run("SELECT count(*) FROM notes", database="places")
        assert await forget(source, "initech", RELATIONS)
        target = await database.place("initech", Tenancy.SILO)
        assert not await forget(target, "initech", RELATIONS)
        return kept, fresh.run("SELECT count(*) FROM notes", database="places"), await read(database, "initech")

    assert Stage(fresh).play(story) == ("1", "0", [("initech", 1, "x")])


def test_a_tenant_without_a_database_of_its_own_stays(fresh):
    async def act():
        database = Stage(fresh).database(ALL_THREE, silos=("acme",))
        await database.open(SCHEMA)
        try:
            with pytest.raises(MoveFailedError, match="no database"):
                await mover(database).move("initech", Tenancy.SILO)
            return database.home_of("initech")
        finally:
            await database.close()

    assert asyncio.run(asyncio.wait_for(act(), 30)) is Tenancy.POOL
