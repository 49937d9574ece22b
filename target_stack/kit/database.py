"""PostgreSQL behind one link: tenant-bound transactions that obey the deadline and never pass on a torn connection."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import asyncpg

from target_stack.kit.call_context import CallContext, current_context
from target_stack.kit.clock import Clock
from target_stack.kit.database_errors import RETRY_AFTER_S, Blame, blame_for
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.telemetry import Attributes, Tracing

POOL_SIZE = 8
TENANTS_SHARE = 5
"""How many of the connections one tenant may hold, where several share the database."""
PATIENCE_S = 15.0
"""How long a transaction may take where no deadline says otherwise."""
_START_RETRY_S = 0.1
_START_ATTEMPT_S = 3.0
_SCHEMA_WITHIN_S = 20.0
_COMPLAIN_EVERY = 50

# A superuser, or whoever may bypass it, reads past row-level security in silence: such a login steps down for each
# transaction into a role that cannot.
_STEP_DOWN = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenant_rows') THEN CREATE ROLE tenant_rows NOLOGIN; END IF;
    GRANT USAGE ON SCHEMA {schema} TO tenant_rows;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO tenant_rows;
END $$
"""
# Two versions of a service share its database and start at the same time: only the first one makes the tables, for the
# locks that this takes and those of the other's first writes would end in a deadlock.
_TABLES_MADE = """
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS public.tables_made (schema text PRIMARY KEY, script text NOT NULL);
"""
_MARK = """
INSERT INTO public.tables_made VALUES ($1, $2) ON CONFLICT (schema) DO UPDATE SET script = excluded.script
"""
_BYPASSES_RLS = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"


class DatabaseUnavailableError(Exception):
    """The database did not take or keep the connection, did not answer within the patience, or is in trouble."""

    def __init__(self, message: str = "the database is not available", *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotSeatedError(Exception):
    """The tenant's rows are not (or no longer) at the seat that was asked."""


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


class Transactions(Protocol):
    """What a store needs: one database, or the right one of several for each tenant."""

    def transaction(self, operation: str, tenant: str | None = None) -> AbstractAsyncContextManager[Transaction]:
        """Run a block in one transaction that sees the rows of *tenant* alone."""
        ...


class Hold(Enum):
    """What a transaction does about others that move the tenant's rows elsewhere, or want to."""

    SHARED = "shared"  # ordinary work: the rows stay while it lasts, and must be here
    EXCLUSIVE = "exclusive"  # the move itself: nobody else is at work on them
    NONE = "none"  # looks at a seat that nobody uses


@dataclass(frozen=True, slots=True)
class Seat:
    """Where in a database the rows of a tenant lie (see seats)."""

    schema: str = "public"
    hold: Hold = Hold.SHARED


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


@dataclass(frozen=True, slots=True)
class DatabaseFlaws:
    """What is wrong with a database link while something is proved; nothing in ordinary operation."""

    one_pool: bool = False  # all databases and tenants of the process compete for the same connections
    keeps_connections: bool = False  # a transaction that failed half-way never gives its connection back
    blames_itself: bool = False  # most errors of the database count as mistakes of the service


class Database:
    """A small pool over one link; where several tenants share it, each gets a share of the connections."""

    def __init__(
        self,
        link: DatabaseLink,
        *,
        clock: Clock,
        tracing: Tracing,
        metrics: Metrics,
        log: Log,
        is_shared: bool = False,
        flaws: DatabaseFlaws = DatabaseFlaws(),
    ) -> None:
        self._link = link
        self._clock = clock
        self._tracing = tracing
        self._metrics = metrics
        self._log = log
        self._is_shared = is_shared
        self._flaws = flaws
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._pool: Any = None
        self._step_down = ""

    @property
    def name(self) -> str:
        """The service at the other end of the link."""
        return self._link.callee

    @property
    def is_open(self) -> bool:
        """Whether it could be reached once."""
        return self._pool is not None

    async def open(self, schema: str) -> None:
        """Connect and run the script *schema* in one transaction, again and again: databases start when we do."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(_SCHEMA_WITHIN_S):
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

    async def prepare(self, script: str, schema: str = "public") -> None:
        """Run a script that makes tables in *schema* once more; raise DatabaseUnavailableError when it cannot be."""
        with self._translated(PATIENCE_S):
            async with asyncio.timeout(PATIENCE_S):
                connection = await self._opened().acquire()
                try:
                    await _make_tables(connection, script, schema)
                finally:
                    await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(
        self, operation: str, tenant: str | None = None, seat: Seat | None = None
    ) -> AsyncIterator[Transaction]:
        """Run the block in one transaction that sees the rows of *tenant* alone; commit unless it raises.

        With a *seat* it works in that schema, and raises NotSeatedError where the rows of the tenant are elsewhere.
        Raises DeadlineExceededError when the request's time is over (a commit under way may still have happened), and
        DatabaseUnavailableError when the database is not there or takes longer than PATIENCE_S.
        """
        context = current_context() or CallContext(Deadline.unlimited(self._clock))
        timeout_s = context.deadline.bound(PATIENCE_S)
        with self._observed(operation, tenant), self._translated(timeout_s):
            async with (
                asyncio.timeout(timeout_s),
                self._share_of(tenant),
                self._transaction(tenant, seat) as connection,
            ):
                yield connection

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[bool]:
        """Hold the lock *name* of this database for the block, alone; say whether it was free."""
        with self._translated(PATIENCE_S):
            async with self._transaction(None, None) as connection:
                yield bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1))", name))

    async def _try_open(self, schema: str) -> None:
        async with asyncio.timeout(_START_ATTEMPT_S):
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
                if await _make_tables(connection, schema, "public"):
                    self._step_down = "SET LOCAL ROLE tenant_rows;"
        except BaseException:
            pool.terminate()
            raise
        self._pool = pool

    @asynccontextmanager
    async def _transaction(self, tenant: str | None, seat: Seat | None) -> AsyncIterator[Any]:
        connection = await self._opened().acquire()
        in_order = False
        try:
            begun = await connection.execute(self._begin(tenant, seat))
            try:
                if seat is not None and seat.hold is Hold.SHARED and begun != "SELECT 1":
                    raise NotSeatedError
                yield connection
            except Exception:
                await connection.execute("ROLLBACK")
                in_order = True
                raise
            await _commit(connection)
            in_order = True
        finally:
            if in_order or not self._flaws.keeps_connections:
                await self._give_back(connection, in_order=in_order)

    async def _give_back(self, connection: Any, *, in_order: bool) -> None:
        if not in_order:  # cancelled or broken half-way: what the connection would say next belongs to nobody
            connection.terminate()
        await self._pool.release(connection)

    def _share_of(self, tenant: str | None) -> asyncio.Semaphore:
        """Return what bounds the connections of *tenant*, so that its slow statements leave some to the others."""
        if self._flaws.one_pool:
            return _the_one_pool()
        limit = TENANTS_SHARE if tenant is not None and self._is_shared else POOL_SIZE
        return self._shares.setdefault(tenant or "", asyncio.Semaphore(limit))

    def _opened(self) -> Any:
        if self._pool is None:
            msg = f"{self._link.callee} could not be reached yet"
            raise DatabaseUnavailableError(msg)
        return self._pool

    def _begin(self, tenant: str | None, seat: Seat | None) -> str:
        """Return one script, for one round trip; tenant ids are slugs (see tenancy), so they are safe as literals."""
        if tenant is None:
            return "BEGIN"
        bound = f"BEGIN; {self._step_down} SELECT set_config('app.tenant_id', '{tenant}', true)"
        return bound if seat is None else f"{bound}; {_take(tenant, seat)}"

    @contextmanager
    def _translated(self, timeout_s: float) -> Iterator[None]:
        """Raise DeadlineExceeded- or DatabaseUnavailableError for all that is not our own bug."""
        blame = _as_before_the_classes_were_known if self._flaws.blames_itself else blame_for
        try:
            yield
        except TimeoutError as error:
            if timeout_s < PATIENCE_S:
                raise DeadlineExceededError from error
            raise DatabaseUnavailableError("the database did not answer in time") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
            if (whose := blame(error)) is Blame.MY_BUG:
                raise
            raise DatabaseUnavailableError(str(error), retry_after_s=RETRY_AFTER_S[whose]) from error

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


def _take(tenant: str, seat: Seat) -> str:
    """Return the script that holds the seat; ordinary work then looks whether the rows are there, in a new snapshot.

    The lock belongs to seat and tenant, and ends with the transaction: whoever moves a tenant and dies fences nobody.
    """
    lock = f"hashtextextended('{seat.schema}/{tenant}', 0)"
    path = f'SET LOCAL search_path = "{seat.schema}"'
    if seat.hold is Hold.NONE:
        return path
    if seat.hold is Hold.EXCLUSIVE:
        return f"{path}; SET LOCAL lock_timeout = '500ms'; SELECT pg_advisory_xact_lock({lock})"
    here = f"FROM tenant_seats WHERE tenant_id = '{tenant}' AND state = 'here'"
    return (
        f"{path}; SELECT pg_advisory_xact_lock_shared({lock}); SELECT set_config('app.leaving', leaving, true) {here}"
    )


async def _make_tables(connection: Any, script: str, schema: str) -> bool:
    """Run *script* unless just this one made the tables of *schema*; tell whether transactions must step down."""
    async with connection.transaction():
        await connection.execute(_TABLES_MADE)
        steps_down = bool(await connection.fetchval(_BYPASSES_RLS))
        if steps_down:
            script += _STEP_DOWN.format(schema=schema)
        if script != await connection.fetchval("SELECT script FROM public.tables_made WHERE schema = $1", schema):
            await connection.execute(script)
            await connection.execute(_MARK, schema, script)
    return steps_down


async def _nothing_to_reset(_connection: object) -> None:
    """Settings are local to transactions, so a released connection is clean: saves a round trip for each use."""


async def _commit(connection: Any) -> None:
    if await connection.execute("COMMIT") != "COMMIT":
        msg = "the transaction was rolled back at its commit, because a statement in it had failed"
        raise DatabaseUnavailableError(msg)


@functools.cache
def _the_one_pool() -> asyncio.Semaphore:
    return asyncio.Semaphore(POOL_SIZE)


def _as_before_the_classes_were_known(error: BaseException) -> Blame:
    is_known = isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.PostgresConnectionError)
    return Blame.TRY_AGAIN if is_known else Blame.MY_BUG
