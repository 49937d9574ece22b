"""Faults inside a PostgreSQL server: an index gone, a table locked, no connection free, sessions ended.

What needs a session that stays open runs in a helper process (`database_helper.py`), which dies with the
fault: PostgreSQL then releases all that it held.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import asyncpg
import psutil

from harness.faults.kinds.database_acts import IndexDropped
from harness.faults.kinds.injector import UNKNOWN, Observed
from harness.faults.kinds.places import Places
from harness.faults.kinds.process_acts import HelperStarted, written
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault

_CALL_LIMIT_S = 3.0
_FIRST_WORD_LIMIT_S = 4.0


class _DatabaseFault(StandingFault):
    """A fault in one database."""

    def __init__(self, fault: Fault, *, name: str, places: Places, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.service is not None
        self._fault = fault
        self._name = name
        self._service = fault.service
        self._url = places.database_url(fault.service)


class DropIndexFault(_DatabaseFault):
    """An index is dropped; a primary key or unique constraint goes with its index.

    Observed: the table that lost it is scanned in full. Rolled back: the index is made again from its
    own definition, and is there.
    """

    _scans_before = 0

    def apply(self) -> None:
        """Read how to make it again, journal that, drop it."""
        try:
            asyncio.run(asyncio.wait_for(self._drop(), _CALL_LIMIT_S))
        except (OSError, TimeoutError, asyncpg.PostgresError) as problem:
            assert self._fault.drop_index is not None
            msg = f"{self._name}: index {self._fault.drop_index.index} of {self._service} cannot be dropped: {problem}"
            raise HarnessError(msg) from None

    async def _drop(self) -> None:
        assert self._fault.drop_index is not None
        index = self._fault.drop_index.index
        connection = await asyncpg.connect(self._url)
        try:
            found = await connection.fetchrow(_HOW_TO_REMAKE, index)
            if found is None:
                msg = f"{self._name}: {self._service} has no index {index!r}"
                raise HarnessError(msg)
            self._table = found["table_name"]
            self._scans_before = await connection.fetchval(_SCANS, self._table) or 0
            self._write(IndexDropped(self._name, self._service, self._url, index, found["remake"]))
            await connection.execute(found["drop"])
        finally:
            await connection.close()

    def observed(self) -> Observed:
        """Return how often the table was scanned in full since."""
        if not self._written:
            return UNKNOWN
        try:
            scans = asyncio.run(asyncio.wait_for(self._scans(), _CALL_LIMIT_S))
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return UNKNOWN
        count = max(0, scans - self._scans_before)
        return Observed(touched=count, unit="sequential scans", first_observed_ns=now_ns() if count else None)

    async def _scans(self) -> int:
        connection = await asyncpg.connect(self._url)
        try:
            return int(await connection.fetchval(_SCANS, self._table) or 0)
        finally:
            await connection.close()


_SCANS = "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relid = to_regclass($1)"
_HOW_TO_REMAKE = """
SELECT i.indrelid::regclass::text AS table_name,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s',
                        i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
       END AS remake,
       CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', i.indrelid::regclass, c.conname)
       END AS drop
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')
WHERE i.indexrelid = to_regclass($1)
"""


class HeldFault(_DatabaseFault):
    """A session locks a table, takes all free connections, or ends everybody else's, in a helper process.

    Observed: the helper counts who waits for it, whom it kept out, or whom it ended. Rolled back: the helper is gone.
    """

    _process: subprocess.Popen[bytes] | None = None
    _words: IO[bytes] | None = None

    def apply(self) -> None:
        """Start the helper, and wait until it says that it holds what it should."""
        self._words = TemporaryFile()  # noqa: SIM115 - it lives as long as the helper
        command = [sys.executable, "-m", "harness.faults.kinds.database_helper", self._url, *_asked(self._fault)]
        environment = {**self._safety.marker, "PYTHONPATH": str(Path(__file__).parents[3])}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._words, start_new_session=True
        )
        self._write(HelperStarted(self._name, self._service, written([psutil.Process(self._process.pid)])))
        for _ in range(int(_FIRST_WORD_LIMIT_S / 0.05)):
            if self._last_word() is not None:
                return
            if self._process.poll() is not None:
                break
            _wait(self._process, 0.05)
        msg = f"{self._name}: {self._fault.kind} on {self._service} did not come about in {_FIRST_WORD_LIMIT_S:g}s"
        raise HarnessError(msg)

    def observed(self) -> Observed:
        """Return what the helper counted."""
        word = self._last_word()
        if word is None:
            return UNKNOWN
        return Observed(touched=word["count"], unit=word["unit"], first_observed_ns=word["first_ns"])

    def undo(self) -> str:
        """Kill the helper, and collect it."""
        cause = super().undo()
        if self._process is not None:
            _wait(self._process, 1.0)
        return cause

    def _last_word(self) -> dict[str, Any] | None:
        if self._words is None:
            return None
        descriptor = self._words.fileno()  # the helper writes where we would stand: read without moving
        written_so_far = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        lines = [line for line in written_so_far.split(b"\n")[:-1] if line]
        return dict(json.loads(lines[-1])) if lines else None


def _asked(fault: Fault) -> list[str]:
    if fault.lock_table is not None:
        return ["lock", fault.lock_table.table]
    if fault.terminate_backends is not None:
        return ["terminate", str(fault.terminate_backends.every)]
    return ["exhaust"]


def _wait(process: "subprocess.Popen[bytes]", limit_s: float) -> None:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return
