"""A process that burdens a database until it is killed: `python -m harness.faults.kinds.database_helper URL HOW …`.

It prints a JSON line with what it counted whenever that changes; the first line says that the fault is in place.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence

import asyncpg

_POLL_S = 0.25
_OUR_NAME = "harness-fault"
_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> $1
"""


class Counter:
    """What was counted so far."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._count = -1
        self._first_ns: int | None = None

    def tell(self, count: int) -> None:
        """Print the count, if it grew."""
        if count <= self._count:
            return
        self._count = count
        if count and self._first_ns is None:
            self._first_ns = time.time_ns()
        print(json.dumps({"count": count, "unit": self._unit, "first_ns": self._first_ns}), flush=True)


async def connect(url: str) -> asyncpg.Connection:
    """Return a session with our name, by which it is spared."""
    return await asyncpg.connect(url, server_settings={"application_name": _OUR_NAME})


async def lock(url: str, table: str) -> None:
    """Hold *table* against everybody, and count the sessions that wait."""
    holder, watcher = await connect(url), await connect(url)
    name = await holder.fetchval("SELECT to_regclass($1)::text", table)
    if name is None:
        sys.exit(f"there is no table {table!r}")
    await holder.execute(f"BEGIN; LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    counter = Counter("waiting backends")
    while True:
        counter.tell(await watcher.fetchval(_WAITING))
        await asyncio.sleep(_POLL_S)


async def exhaust(url: str) -> None:
    """End everybody's connections and take them all, again and again: a pool would live on those that it has."""
    held = [await connect(url)]
    counter = Counter("connections held")
    while True:
        await held[0].fetch(_OTHERS, _OUR_NAME)
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            while True:
                held.append(await connect(url))
        counter.tell(len(held))
        await asyncio.sleep(_POLL_S)


async def terminate(url: str, every_s: float) -> None:
    """End every session but ours, again and again."""
    session, counter, ended = await connect(url), Counter("backends terminated"), 0
    while True:
        ended += len(await session.fetch(_OTHERS, _OUR_NAME))
        counter.tell(ended)
        await asyncio.sleep(every_s)


def main(arguments: Sequence[str]) -> None:
    """Burden the database as *arguments* say, until killed."""
    url, how, *rest = arguments
    if how == "lock":
        asyncio.run(lock(url, rest[0]))
    elif how == "terminate":
        asyncio.run(terminate(url, float(rest[0])))
    else:
        asyncio.run(exhaust(url))


if __name__ == "__main__":
    main(sys.argv[1:])
