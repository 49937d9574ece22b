"""Faults inside a real PostgreSQL server, and that nothing of them is left."""

import asyncio
import os

import asyncpg
import pytest

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Setting
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_faults
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.drivers.support import SERVICE, target
from tests.faults.support import Heard, make, wait_until

SCHEMA = """
CREATE TABLE items (tenant text, number int, CONSTRAINT items_key PRIMARY KEY (tenant, number));
CREATE INDEX items_by_number ON items (number) WHERE number > 0;
INSERT INTO items SELECT 'acme', n FROM generate_series(1, 1000) n;
ANALYZE items;
"""
TARGET = target({"front": SERVICE, "orders-db": {"kind": "postgres", "database": "orders"}})
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'items' ORDER BY 1"


@pytest.fixture
def on_database(tmp_path):
    """Run a test beside a driver with a real database: `act(places, safety, sql)` is called in a thread."""

    def run(act):
        async def go():
            clock, heard = SteadyClock(), Heard()
            safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=heard.append, clock=clock)
            await safety.start()
            setting = Setting(run=tmp_path, run_id="r", seed=1, emit=heard.append, clock=clock, guard=safety)
            driver = driver_for(TARGET, setting)
            try:
                await driver.start()
                return await asyncio.to_thread(act, driver, safety, lambda query: ask(driver, query))
            finally:
                await driver.stop()
                await safety.dismiss()

        return asyncio.run(go())

    return run


def ask(driver, query):
    async def go():
        connection = await asyncpg.connect(driver.database_url("orders-db"), timeout=3)
        try:
            *before, last = [part for part in query.split(";") if part.strip()]
            for statement in before:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(last)]
        finally:
            await connection.close()

    return asyncio.run(go())


def fault(**raw):
    return Fault.model_validate({"service": "orders-db", **raw})


@pytest.mark.parametrize("index", ["items_by_number", "items_key"])
def test_an_index_goes_and_comes_back_as_it_was(on_database, index):
    def act(places, safety, sql):
        sql(SCHEMA)
        before = sql(INDEXES)
        injector = make(fault(drop_index=index), safety=safety, places=places)
        injector.apply()
        assert injector.confirm()
        assert [name for name, _ in sql(INDEXES)] == [name for name, _ in before if name != index]
        sql("SELECT sum(number % 7) FROM items")
        wait_until(lambda: injector.observed().touched > 0, "the scan is counted")
        assert injector.observed().unit == "sequential scans"
        assert (injector.undo(), injector.confirm()) == ("", False)
        assert sql(INDEXES) == before
        assert injector.undo() == ""

    on_database(act)


def test_an_index_is_remade_from_the_journal_alone_and_an_unknown_one_is_an_error(on_database):
    def act(places, safety, sql):
        sql(SCHEMA)
        before = sql(INDEXES)
        make(fault(drop_index="items_by_number"), safety=safety, places=places).apply()
        assert all(undone.confirmed for undone in undo_faults(outstanding(safety.journal_path)))
        assert sql(INDEXES) == before
        with pytest.raises(HarnessError, match="has no index 'nothing'"):
            make(fault(drop_index="nothing"), safety=safety, places=places).apply()

    on_database(act)


def test_a_locked_table_makes_others_wait_until_the_fault_goes(on_database):
    def act(places, safety, sql):
        sql(SCHEMA)
        injector = make(fault(lock_table="items"), safety=safety, places=places)
        injector.apply()
        assert injector.confirm()
        with pytest.raises(asyncpg.LockNotAvailableError):
            sql("SET lock_timeout = '200ms'; SELECT count(*) FROM items")
        assert injector.undo() == ""
        assert wait_until(lambda: sql("SELECT count(*) FROM items"), "the lock is gone") == [(1000,)]

    on_database(act)


def test_no_connection_is_to_be_had_until_the_fault_goes(on_database):
    def act(places, safety, sql):
        injector = make(fault(exhaust_connections=True), safety=safety, places=places)
        injector.apply()
        assert injector.observed().touched > 20
        with pytest.raises((asyncpg.TooManyConnectionsError, OSError)):
            sql("SELECT 1")
        assert injector.undo() == ""

        def serves():
            try:
                return sql("SELECT 1")
            except asyncpg.PostgresError:
                return None

        assert wait_until(serves, "connections are to be had") == [(1,)]

    on_database(act)


def test_sessions_are_ended_again_and_again(on_database):
    def act(places, safety, sql):
        injector = make(fault(terminate_backends="100ms"), safety=safety, places=places)
        injector.apply()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            sql("SELECT pg_sleep(3)")
        wait_until(lambda: injector.observed().touched > 0, "it is counted")
        assert injector.undo() == ""
        assert sql("SELECT pg_sleep(0.3)") == [("",)] or sql("SELECT 1") == [(1,)]

    on_database(act)


def test_a_killed_database_is_started_again_with_its_data(on_database):
    def act(places, safety, sql):
        sql(SCHEMA)
        injector = make(fault(kill=True), safety=safety, places=places)
        injector.apply()
        with pytest.raises(ConnectionRefusedError):
            sql("SELECT 1")
        assert injector.undo() == ""
        assert sql("SELECT count(*) FROM items") == [(1000,)]

    on_database(act)
