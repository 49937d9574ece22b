"""The database module against a real PostgreSQL."""

import asyncio
import io
import json

import asyncpg
import pytest

from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import SystemClock
from target_stack.kit.database import (
    POOL_SIZE,
    TENANTS_SHARE,
    Database,
    DatabaseFlaws,
    DatabaseLink,
    DatabaseUnavailableError,
)
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.telemetry import Tracing

CLOCK = SystemClock()
SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (tenant_id text NOT NULL, body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON notes;
CREATE POLICY own_rows ON notes USING (tenant_id = current_setting('app.tenant_id', true));
"""


@pytest.fixture(scope="session")
def notes_server(postgres):
    postgres.create("notes")
    return postgres


@pytest.fixture
def notes(notes_server):
    """An empty database of that name."""
    notes_server.run("DROP TABLE IF EXISTS notes, tables_made", database="notes")
    return notes_server


@pytest.fixture(params=["notes", "postgres"], ids=["as owner", "as superuser"])
def dsn(request, notes):
    return f"postgresql://{request.param}@127.0.0.1:{notes.port}/notes"


def play(dsn, story, **settings):
    """Run *story* with an open database."""

    async def stage():
        link = DatabaseLink("notes", "notes-db", dsn)
        log = Log("notes", CLOCK, io.StringIO())
        database = Database(link, clock=CLOCK, tracing=Tracing("notes", None), metrics=Metrics(), log=log, **settings)
        await database.open(SCHEMA)
        try:
            return await story(database)
        finally:
            await database.close()

    return asyncio.run(asyncio.wait_for(stage(), 30))


async def write(database, tenant, body, of=None):
    async with database.transaction("write", tenant) as transaction:
        await transaction.execute("INSERT INTO notes VALUES ($1, $2)", of or tenant, body)


async def read(database, tenant):
    async with database.transaction("read", tenant) as transaction:
        return [row["body"] for row in await transaction.fetch("SELECT body FROM notes ORDER BY body")]


def test_a_tenant_sees_its_own_rows_only(dsn):
    async def story(database):
        await write(database, "acme", "a")
        await write(database, "globex", "g")
        return [await read(database, tenant) for tenant in ("acme", "globex", "initech")]

    assert play(dsn, story) == [["a"], ["g"], []]


def test_without_a_tenant_there_are_no_rows(notes):
    async def story(database):
        await write(database, "acme", "a")
        return await read(database, None)

    assert play(f"postgresql://notes@127.0.0.1:{notes.port}/notes", story) == []


def test_a_row_of_another_tenant_cannot_be_written(dsn):
    async def story(database):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await write(database, "acme", "forged", of="globex")
        return await read(database, "globex")

    assert play(dsn, story) == []


def test_the_tenant_does_not_stick_to_the_connection(dsn):
    async def story(database):
        await write(database, "acme", "a")
        seen = [await asyncio.gather(*(read(database, tenant) for tenant in ("acme", "globex") * 20)) for _ in range(3)]
        return {tuple(map(tuple, each)) for each in seen}

    assert play(dsn, story) == {((("a",), ()) * 20)}


def test_what_raises_is_rolled_back(dsn):
    async def story(database):
        async def fail_half_way():
            async with database.transaction("write", "acme") as transaction:
                await transaction.execute("INSERT INTO notes VALUES ('acme', 'half')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_half_way()
        return await read(database, "acme")

    assert play(dsn, story) == []


def test_a_commit_that_was_none_is_not_taken_for_one(dsn):
    async def story(database):
        async def swallow_an_error():
            async with database.transaction("write", "acme") as transaction:
                await transaction.execute("INSERT INTO notes VALUES ('acme', 'lost')")
                with pytest.raises(asyncpg.PostgresError):
                    await transaction.execute("SELECT 1 / 0")

        with pytest.raises(DatabaseUnavailableError, match="rolled back"):
            await swallow_an_error()
        return await read(database, "acme")

    assert play(dsn, story) == []


def test_the_deadline_ends_a_slow_statement_and_the_connection(dsn):
    async def story(database):
        set_context(CallContext(Deadline.after(0.2, CLOCK)))
        with pytest.raises(DeadlineExceededError):
            async with database.transaction("sleep", "acme") as transaction:
                await transaction.execute("SELECT pg_sleep(30)")
        set_context(CallContext(Deadline.unlimited(CLOCK)))
        await write(database, "acme", "still works")
        return await read(database, "acme")

    assert play(dsn, story) == ["still works"]


def test_waiting_for_a_connection_obeys_the_deadline(dsn):
    async def story(database):
        async def hold(taken):
            async with database.transaction("hold", "acme"):
                taken.set()
                await asyncio.sleep(60)

        events = [asyncio.Event() for _ in range(POOL_SIZE)]
        holders = [asyncio.create_task(hold(event)) for event in events]
        await asyncio.gather(*(event.wait() for event in events))
        set_context(CallContext(Deadline.after(0.1, CLOCK)))
        with pytest.raises(DeadlineExceededError):
            await write(database, "acme", "late")
        for holder in holders:
            holder.cancel()
        await asyncio.wait(holders)
        set_context(CallContext(Deadline.unlimited(CLOCK)))
        return await read(database, "acme")

    assert play(dsn, story) == []


def test_a_cancelled_transaction_is_undone_and_its_connection_not_reused(dsn):
    async def story(database):
        async def half():
            async with database.transaction("half", "acme") as transaction:
                await transaction.execute("INSERT INTO notes VALUES ('acme', 'half')")
                written.set()
                await asyncio.sleep(60)

        written = asyncio.Event()
        task = asyncio.create_task(half())
        await written.wait()
        task.cancel()
        await asyncio.wait([task])
        return [await read(database, "acme") for _ in range(POOL_SIZE + 1)]

    assert play(dsn, story) == [[]] * (POOL_SIZE + 1)


def test_a_killed_connection_is_an_unavailable_database_and_then_replaced(notes):
    dsn = f"postgresql://notes@127.0.0.1:{notes.port}/notes"

    async def story(database):
        async with database.transaction("who", "acme") as transaction:
            row = await transaction.fetchrow("SELECT pg_backend_pid() AS pid")

        async def die():
            async with database.transaction("die", "acme") as transaction:
                await transaction.execute("SELECT pg_terminate_backend($1)", row["pid"])
                await transaction.execute("SELECT 1")

        with pytest.raises(DatabaseUnavailableError):
            await die()
        return await read(database, "acme")

    assert play(dsn, story) == []


def test_whoever_opens_next_finds_the_tables_made_and_the_rows_there(dsn):
    async def write_first(database):
        await write(database, "acme", "a")

    async def read_next(database):
        return await read(database, "acme")

    play(dsn, write_first)
    assert play(dsn, read_next) == ["a"]


def test_one_who_bypasses_row_security_steps_down_from_tables_that_another_made(notes):
    async def write_both(database):
        await write(database, "acme", "a")
        await write(database, "globex", "g")

    async def read_one(database):
        return await read(database, "acme")

    play(f"postgresql://notes@127.0.0.1:{notes.port}/notes", write_both)
    assert play(f"postgresql://postgres@127.0.0.1:{notes.port}/notes", read_one) == ["a"]


def test_opening_goes_on_until_the_database_is_there(postgres):
    async def story():
        lines = io.StringIO()
        link = DatabaseLink("notes", "notes-db", f"postgresql://late@127.0.0.1:{postgres.port}/late")
        database = Database(
            link, clock=CLOCK, tracing=Tracing("notes", None), metrics=Metrics(), log=Log("notes", CLOCK, lines)
        )
        opening = asyncio.create_task(database.open("SELECT 1"))
        await asyncio.sleep(0.2)
        assert not opening.done()
        await asyncio.to_thread(postgres.create, "late")
        await opening
        await database.close()
        return [json.loads(line) for line in lines.getvalue().splitlines()]

    assert asyncio.run(asyncio.wait_for(story(), 30)) == []


async def hold_all(database, tenant, connections=POOL_SIZE):
    """Ask for *connections* of *tenant* and hold what there is; return the holders."""

    async def hold():
        async with database.transaction("hold", tenant):
            await asyncio.sleep(60)

    holders = [asyncio.create_task(hold()) for _ in range(connections)]
    await asyncio.sleep(0.3)
    return holders


async def let_go(holders):
    for holder in holders:
        holder.cancel()
    await asyncio.wait(holders)


@pytest.mark.parametrize(("is_shared", "served"), [(True, True), (False, False)])
def test_one_tenants_slow_statements_leave_connections_to_the_others(notes, is_shared, served):
    async def story(database):
        holders = await hold_all(database, "acme")
        set_context(CallContext(Deadline.after(0.5, CLOCK)))
        try:
            return await read(database, "globex")
        except DeadlineExceededError:
            return None
        finally:
            await let_go(holders)

    found = play(f"postgresql://notes@127.0.0.1:{notes.port}/notes", story, is_shared=is_shared)
    assert (found is not None) is served
    assert TENANTS_SHARE < POOL_SIZE


@pytest.mark.parametrize(("flaws", "works"), [(DatabaseFlaws(), True), (DatabaseFlaws(keeps_connections=True), False)])
def test_failed_transactions_give_their_connections_back_unless_they_leak(notes, flaws, works):
    async def story(database):
        await let_go(await hold_all(database, "acme"))
        set_context(CallContext(Deadline.after(1.0, CLOCK)))
        try:
            return await read(database, "acme") == []
        except DeadlineExceededError:
            return False

    assert play(f"postgresql://notes@127.0.0.1:{notes.port}/notes", story, flaws=flaws) is works


@pytest.mark.parametrize(
    ("flaws", "error"),
    [(DatabaseFlaws(), DatabaseUnavailableError), (DatabaseFlaws(blames_itself=True), asyncpg.PostgresError)],
)
def test_a_database_without_a_free_connection_is_unavailable_and_no_mistake_of_ours(notes, flaws, error):
    async def story(database):
        async def leave():
            async with database.transaction("leave", "acme") as transaction:
                await transaction.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        await asyncio.to_thread(notes.run, "ALTER DATABASE notes CONNECTION LIMIT 0")
        try:
            with pytest.raises((DatabaseUnavailableError, asyncpg.PostgresError)):
                await leave()
            with pytest.raises(error):
                await read(database, "acme")
        finally:
            await asyncio.to_thread(notes.run, "ALTER DATABASE notes CONNECTION LIMIT -1")

    play(f"postgresql://notes@127.0.0.1:{notes.port}/notes", story, flaws=flaws)


def test_an_argument_that_its_statement_cannot_take_is_our_own_bug(dsn):
    async def story(database):
        async with database.transaction("mistake", "acme") as transaction:
            await transaction.fetch("SELECT $1::int", "not a number")

    with pytest.raises(asyncpg.DataError, match="invalid input"):
        play(dsn, story)
