"""PostgreSQL behind one link: tenant-bound transactions that obey the deadline and never pass on a torn connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from target_stack.kit.call_context import CallContext, current_context
from target_stack.kit.clock import Clock
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.telemetry import Attributes, Tracing

POOL_SIZE = 8
PATIENCE_S = 15.0
"""How long a transaction may take where no deadline says otherwise."""
_START_RETRY_S = 0.1
_START_ATTEMPT_S = 3.0
_COMPLAIN_EVERY = 50

# A superuser, or whoever may bypass it, reads past row-level security in silence: such a login steps down for each
# transaction into a role that cannot.
_STEP_DOWN = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenant_rows') THEN CREATE ROLE tenant_rows NOLOGIN; END IF;
    GRANT USAGE ON SCHEMA public TO tenant_rows;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tenant_rows;
END $$
"""
_BYPASSES_RLS = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"


class DatabaseUnavailableError(Exception):
    """The database did not take or keep the connection, or did not answer within the patience."""


class Transaction(Protocol):
    """What a store may do inside a transaction; asyncpg's own methods."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement and return its tag, such as "UPDATE 1"."""
        ...

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return all rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Any:
        """Return the first row or None."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseLink:
    """Who calls which database, and where it is."""

    caller: str
    callee: str
    dsn: str

    @property
    def name(self) -> str:
        """The link as target.yaml writes it."""
        return f"{self.caller} -> {self.callee}"


class Database:
    """A small pool over one link."""

    def __init__(self, link: DatabaseLink, *, clock: Clock, tracing: Tracing, metrics: Metrics, log: Log) -> None:
        self._link = link
        self._clock = clock
        self._tracing = tracing
        self._metrics = metrics
        self._log = log
        self._pool: Any = None
        self._step_down = ""

    async def open(self, schema: str) -> None:
        """Connect and run the script *schema* in one transaction, again and again: databases start when we do."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(_START_ATTEMPT_S):
                    return await self._try_open(schema)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if failures % _COMPLAIN_EVERY == _COMPLAIN_EVERY - 1:
                    self._log.warning("the database cannot be opened yet", link=self._link.name, error=str(error))
                failures += 1
            await asyncio.sleep(_START_RETRY_S)

    async def close(self) -> None:
        """Drop all connections at once."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self, operation: str, tenant: str | None = None) -> AsyncIterator[Transaction]:
        """Run the block in one transaction that sees the rows of *tenant* alone; commit unless it raises.

        Raises DeadlineExceededError when the request's time is over (a commit under way may still have happened), and
        DatabaseUnavailableError when the database is not there or takes longer than PATIENCE_S.
        """
        context = current_context() or CallContext(Deadline.unlimited(self._clock))
        timeout_s = context.deadline.bound(PATIENCE_S)
        with self._observed(operation, tenant), _translated(timeout_s):
            async with asyncio.timeout(timeout_s), self._transaction(tenant) as connection:
                yield connection

    async def _try_open(self, schema: str) -> None:
        pool = await asyncpg.create_pool(
            self._link.dsn,
            min_size=1,
            max_size=POOL_SIZE,
            ssl=False,
            reset=_nothing_to_reset,
            command_timeout=PATIENCE_S,
        )
        try:
            async with pool.acquire() as connection:
                await connection.execute(schema)
                if await connection.fetchval(_BYPASSES_RLS):
                    await connection.execute(_STEP_DOWN)
                    self._step_down = "SET LOCAL ROLE tenant_rows;"
        except BaseException:
            pool.terminate()
            raise
        self._pool = pool

    @asynccontextmanager
    async def _transaction(self, tenant: str | None) -> AsyncIterator[Any]:
        connection = await self._pool.acquire()
        in_order = False
        try:
            await connection.execute(self._begin(tenant))
            try:
                yield connection
            except Exception:
                await connection.execute("ROLLBACK")
                in_order = True
                raise
            await _commit(connection)
            in_order = True
        finally:
            if not in_order:  # cancelled or broken half-way: what the connection would say next belongs to nobody
                connection.terminate()
            await self._pool.release(connection)

    def _begin(self, tenant: str | None) -> str:
        """Return one script, for one round trip; tenant ids are slugs (see tenancy), so they are safe as literals."""
        if tenant is None:
            return "BEGIN"
        return f"BEGIN; {self._step_down} SELECT set_config('app.tenant_id', '{tenant}', true)"

    @contextmanager
    def _observed(self, operation: str, tenant: str | None) -> Iterator[None]:
        attributes: Attributes = {
            "peer.service": self._link.callee,
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "resilience.retry.attempt": 0,
        }
        if tenant is not None:
            attributes["tenant.id"] = tenant
        started_s = self._clock.monotonic_s()
        status = "error"
        try:
            with self._tracing.client_span(f"{operation} {self._link.callee}", attributes):
                yield
            status = "ok"
        finally:
            duration_s = self._clock.monotonic_s() - started_s
            self._metrics.client_duration.labels(self._link.name, status).observe(duration_s)


async def _nothing_to_reset(_connection: object) -> None:
    """Settings are local to transactions, so a released connection is clean: saves a round trip for each use."""


async def _commit(connection: Any) -> None:
    if await connection.execute("COMMIT") != "COMMIT":
        msg = "the transaction was rolled back at its commit, because a statement in it had failed"
        raise DatabaseUnavailableError(msg)


@contextmanager
def _translated(timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        if timeout_s < PATIENCE_S:
            raise DeadlineExceededError from error
        raise DatabaseUnavailableError("the database did not answer in time") from error
    except (
        OSError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
    ) as error:
        raise DatabaseUnavailableError(str(error)) from error
