"""Throw-away PostgreSQL servers, one for each database service, all copied from one initdb."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from harness.drivers.postgres import Installed
from harness.drivers.process import Launch
from harness.model.errors import TargetError

SUPERUSER = "postgres"
_RUN_LIMIT_S = 30.0
_CONNECT_LIMIT_S = 2.0
_MEMORY = "mmap"  # within the data folder: /dev/shm would keep what a killed server held
_HASTE_S = 0.5
_SETTINGS = {
    "unix_socket_directories": "",
    "fsync": "off",  # a killed process loses nothing by it, only a power cut would: and then the run is gone as well
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "max_wal_size": "64MB",
    "dynamic_shared_memory_type": _MEMORY,
}


def make_home(installed: Installed) -> Path:
    """Make the folder for all data of one run; whoever calls this has it removed."""
    home = Path(tempfile.mkdtemp(prefix="harness-data-", dir=installed.parent))
    if installed.user is not None:
        os.chown(home, installed.user, installed.user)
    return home


async def make_template(installed: Installed, home: Path, environment: Mapping[str, str]) -> Path:
    """Run initdb once; every server of the run starts from a copy. TargetError with its words when it fails."""
    template = home / "template"
    command = [str(installed.bin / "initdb"), "--pgdata", str(template), "--username", SUPERUSER, "--auth", "trust"]
    command += ["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions", "--wal-segsize", "1"]
    if _major(installed) >= 16:
        command += ["--set", f"dynamic_shared_memory_type={_MEMORY}"]
    code, said = await _run(installed, command, environment)
    if code != 0:
        msg = f"initdb failed (exit code {code}): {said}"
        raise TargetError(msg, hint=f"is there room below {home.parent}?")
    return template


async def copy_template(installed: Installed, template: Path, name: str, environment: Mapping[str, str]) -> Path:
    """Give one server its own data folder."""
    data = template.parent / name
    code, said = await _run(installed, ["cp", "-a", str(template), str(data)], environment)
    if code != 0:
        msg = f"the data of {name} cannot be made: {said}"
        raise TargetError(msg, hint=f"is there room below {installed.parent}?")
    return data


async def _run(installed: Installed, command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a short program as the servers' user; return its exit code and words. Cancelling ends it first."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
        start_new_session=True,
        **_as(installed.user),
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _RUN_LIMIT_S)
    except TimeoutError:
        said = f"it did not end within {_RUN_LIMIT_S:g}s".encode()
    finally:
        if process.returncode is None:
            await _end(process)
    return process.returncode or 0, said.decode(errors="replace").strip()


def server_launch(
    installed: Installed, *, name: str, data: Path, host: str, port: int, log: Path, environment: Mapping[str, str]
) -> Launch:
    """Return how to start a server on *data*. It is stopped by SIGQUIT: at once; its data is thrown away."""
    newer = {"io_method": "sync"} if _major(installed) >= 18 else {}
    here = {"listen_addresses": host}
    settings = [part for key, value in (_SETTINGS | here | newer).items() for part in ("-c", f"{key}={value}")]
    command = [str(installed.bin / "postgres"), "-D", str(data), "-p", str(port), *settings]
    return Launch(
        name, command, environment, log, stop_signal=signal.SIGQUIT, haste_s=_HASTE_S, cwd="/", user=installed.user
    )


def _major(installed: Installed) -> int:
    digits = installed.version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program and what it started; initdb gives back its shared memory if it is asked politely."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _HASTE_S)
            return


async def make_database(host: str, port: int, database: str) -> None:
    """Create the role *database*, no superuser so that row security binds it, and the database that it owns.

    Raises what a server that is not up yet makes asyncpg raise; safe to repeat.
    """
    connection = await _connect(host, port, SUPERUSER, SUPERUSER)
    try:
        with contextlib.suppress(asyncpg.DuplicateObjectError):
            await connection.execute(f"CREATE ROLE {_quoted(database)} LOGIN")
        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"CREATE DATABASE {_quoted(database)} OWNER {_quoted(database)}")
    finally:
        await connection.close(timeout=_CONNECT_LIMIT_S)


async def is_serving(host: str, port: int, database: str) -> bool:
    """Make a real connection as the service will, and ask something."""
    connection = await _connect(host, port, database, database)
    try:
        return bool(await connection.fetchval("SELECT 1") == 1)
    finally:
        await connection.close(timeout=_CONNECT_LIMIT_S)


async def _connect(host: str, port: int, user: str, database: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(
        host=host, port=port, user=user, database=database, timeout=_CONNECT_LIMIT_S, ssl=False, passfile="/nonexistent"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as(user: int | None) -> dict[str, Any]:
    """Return what makes a process run as *user*, with no other groups."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}
