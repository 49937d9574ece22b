"""Faults inside a database that outlive the session which made them."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.safety.acts import FaultAct

_SHORTEST_S = 0.3
_LOOK_LIMIT_S = 0.5


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
                    await connection.execute(self.remake)
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
