"""Faults inside a database that outlive the session which made them."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.faults.safety.acts import FaultAct
from harness.faults.safety.ours import url_problem

_SHORTEST_S = 0.3
_LOOK_LIMIT_S = 0.5
_REMAKES = re.compile(r"CREATE (UNIQUE )?INDEX |ALTER TABLE [^;]{1,300} ADD CONSTRAINT ")


@dataclass(frozen=True, slots=True)
class IndexDropped(FaultAct):
    """An index that is gone, with the statement that makes it again."""

    what: ClassVar[str] = "index"
    database: str
    url: str
    index: str
    remake: str

    @property
    def place(self) -> str:
        """Database and index."""
        return f"{self.database} {self.index}"

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the server's address, and at the statement: it makes an index or a constraint, and nothing else."""
        if not _REMAKES.match(self.remake):
            return f"{self.remake[:60]!r} is not ours: it does not make an index"
        return url_problem(self.url, "postgresql", "postgres")

    def heal(self, deadline_s: float) -> str:
        """Make the index again, unless it is there."""
        import asyncio  # the reaper must start quickly, and rarely needs it

        limit_s = max(_SHORTEST_S, deadline_s - time.monotonic())
        try:
            return asyncio.run(asyncio.wait_for(self._remake(), limit_s))
        except (ConnectionRefusedError, ConnectionResetError):
            return ""  # the server is gone, and with it all that it held
        except (OSError, TimeoutError) as problem:
            return f"{self.database}: the index {self.index} is not there yet: {problem or type(problem).__name__}"

    def is_there(self) -> bool | None:
        """True while the index is missing."""
        import asyncio

        try:
            return not asyncio.run(asyncio.wait_for(self._exists(), _LOOK_LIMIT_S))
        except (OSError, TimeoutError):
            return None

    async def _remake(self) -> str:
        import asyncpg

        try:
            connection = await asyncpg.connect(self.url)
            try:
                if not await _index_exists(connection, self.index):
                    await connection.fetch(self.remake)  # one statement only, whatever the text is
            finally:
                await connection.close()
        except asyncpg.PostgresError as problem:
            return f"{self.database}: {problem}"
        return ""

    async def _exists(self) -> bool:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            return await _index_exists(connection, self.index)
        finally:
            await connection.close()


async def _index_exists(connection: Any, index: str) -> bool:
    return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", index))
