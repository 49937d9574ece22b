"""The right database and schema for each tenant: pool, bridge and silo at once, behind the interface of one database.

Stores do not know which it is. The configuration says where a tenant starts; from then on its seats say where it is
(see seats), and a move (see tenant_move) changes that while requests go on.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from target_stack.kit import seats
from target_stack.kit.call_context import current_context
from target_stack.kit.database import (
    Database,
    DatabaseUnavailableError,
    Hold,
    NotSeatedError,
    Transaction,
)
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.logs import Log
from target_stack.kit.seats import Home, Place, Relation, SeatRow, Step
from target_stack.kit.tenancy import Tenancy, Tenant

_LONGEST_WAIT_S = 5.0
_OPEN_WITHIN_S = 5.0
_SEARCHES = 3


class TenantDatabase:
    """The shared database for pool and bridge, and one database for each tenant that can have a silo."""

    def __init__(
        self,
        shared: Database,
        silos: Mapping[str, Database],
        tenants: Mapping[str, Tenant],
        *,
        relations: tuple[Relation, ...],
        is_isolated: bool,
        log: Log,
    ) -> None:
        self._shared = shared
        self._silos = silos
        self._configured = {tenant.id: tenant.tenancy for tenant in tenants.values()}
        self._relations = relations
        self._is_isolated = is_isolated
        self._log = log
        self._script = ""
        self._homes: dict[str, Place] = {}
        self._made: set[tuple[str, str]] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._openings: dict[str, asyncio.Task[None]] = {}

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The tables that move with their tenant."""
        return self._relations

    async def open(self, script: str, pool: str = "") -> None:
        """Make the tables of *script* wherever tenants start, after running *pool* for the pool, and find each tenant.

        The shared database is waited for; a silo that cannot be reached now is its own tenant's trouble alone.
        """
        self._script = script
        bridges = [_schema(tenant) for tenant, how in self._configured.items() if how is Tenancy.BRIDGE]
        self._openings = {
            tenant: asyncio.create_task(silo.open(self._tables("public")), name=f"open {silo.name}")
            for tenant, silo in self._silos.items()
        }
        await self._shared.open(self._tables("public", pool))
        self._made.add((self._shared.name, "public"))
        for schema in bridges:
            await self._shared.prepare(self._tables(schema), schema)
            self._made.add((self._shared.name, schema))
        await asyncio.gather(*(self._find_at_start(tenant) for tenant in self._configured))

    async def close(self) -> None:
        """Drop all connections at once."""
        for opening in self._openings.values():
            opening.cancel()
        for database in (self._shared, *self._silos.values()):
            await database.close()

    @asynccontextmanager
    async def transaction(self, operation: str, tenant: str | None = None) -> AsyncIterator[Transaction]:
        """Run the block in one transaction that sees the rows of *tenant* alone, wherever they are.

        Raises what Database.transaction raises; where the tenant is being moved it waits, as long as the deadline lets.
        """
        if tenant is None:
            async with self._shared.transaction(operation) as transaction:
                yield transaction
            return
        for _ in range(_SEARCHES):
            await self._pass_gate(tenant)
            place = self._homes.get(tenant) or await self.find(tenant)
            begun = False
            try:
                async with place.database.transaction(operation, tenant, place.seat(Hold.SHARED)) as transaction:
                    begun = True
                    yield transaction
                return
            except NotSeatedError:
                if begun:
                    raise
                await self.find(tenant)
        msg = f"tenant {tenant} is on the move"
        raise DatabaseUnavailableError(msg)

    def home_of(self, tenant: str) -> Tenancy | None:
        """Return where the tenant was seen last, None when it was not found yet."""
        place = self._homes.get(tenant)
        return place.tenancy if place is not None else None

    async def find(self, tenant: str) -> Place:
        """Look where the rows of *tenant* are, complete a move that was switched, and remember the place."""
        found = await self._seats_of(tenant)
        home = seats.find_home(found, self._configured[tenant])
        place = await self.place(tenant, home.tenancy)
        await self._settle(place, tenant, home, found)
        self._homes[tenant] = place
        return place

    async def place(self, tenant: str, tenancy: Tenancy) -> Place:
        """Return a place that can hold *tenant*, with its tables made; raise LookupError where there is none."""
        place = self._place(tenant, tenancy)
        if place.tenancy is not Tenancy.SILO and (place.database.name, place.schema) not in self._made:
            await place.database.prepare(self._tables(place.schema), place.schema)
            self._made.add((place.database.name, place.schema))
        return place

    @asynccontextmanager
    async def gate_closed(self, tenant: str) -> AsyncIterator[None]:
        """Let transactions of *tenant* in this process wait before they take a connection that others need."""
        gate = self._gates[tenant] = asyncio.Event()
        try:
            yield
        finally:
            del self._gates[tenant]
            gate.set()

    def _place(self, tenant: str, tenancy: Tenancy) -> Place:
        if tenancy is Tenancy.POOL:
            return Place(tenancy, self._shared, "public")
        if tenancy is Tenancy.BRIDGE:
            return Place(tenancy, self._shared, _schema(tenant))
        if tenant not in self._silos:
            msg = f"there is no database for a silo of {tenant}"
            raise LookupError(msg)
        return Place(tenancy, self._silos[tenant], "public")

    def _tables(self, schema: str, before: str = "") -> str:
        script = (
            before + self._script if self._is_isolated else before + self._script + _without_policies(self._relations)
        )
        return seats.tables(schema, script, self._relations)

    async def _find_at_start(self, tenant: str) -> None:
        try:
            await self._find_once_open(tenant)
        except (DatabaseUnavailableError, DeadlineExceededError, LookupError) as error:
            self._log.warning("a tenant cannot be served yet", tenant=tenant, error=str(error))

    async def _find_once_open(self, tenant: str) -> None:
        try:
            await self.find(tenant)
        except DatabaseUnavailableError:
            if tenant not in self._openings:
                raise
            await asyncio.wait([self._openings[tenant]], timeout=_OPEN_WITHIN_S)
            await self.find(tenant)

    async def _seats_of(self, tenant: str) -> dict[Tenancy, SeatRow]:
        """Read the seats that matter: a silo only where the shared database does not hold the tenant."""
        found: dict[Tenancy, SeatRow] = {}
        for tenancy in Tenancy:
            is_silo = tenancy is Tenancy.SILO
            if is_silo and (tenant not in self._silos or _is_here(found)):
                continue
            place = self._place(tenant, tenancy)
            if not is_silo and (place.database.name, place.schema) not in self._made:
                await self.place(tenant, tenancy)
            async with place.database.transaction("find tenant", tenant, place.seat(Hold.NONE)) as transaction:
                row = await seats.read_seat(transaction)
            if row is not None:
                found[tenancy] = row
        return found

    async def _settle(self, place: Place, tenant: str, home: Home, found: Mapping[Tenancy, SeatRow]) -> None:
        if home.step is Step.CREATE:
            await seats.take_first_seat(place, tenant)
        elif home.step is Step.COMPLETE:
            await seats.complete(place, tenant, found[home.tenancy].epoch)

    async def _pass_gate(self, tenant: str) -> None:
        gate = self._gates.get(tenant)
        if gate is None:
            return
        context = current_context()
        wait_s = context.deadline.bound(_LONGEST_WAIT_S) if context is not None else _LONGEST_WAIT_S
        try:
            async with asyncio.timeout(wait_s):
                await gate.wait()
        except TimeoutError:
            raise DeadlineExceededError from None


def _schema(tenant: str) -> str:
    return f"tenant_{tenant}"


def _is_here(found: Mapping[Tenancy, SeatRow]) -> bool:
    return any(row.state is seats.SeatState.HERE for row in found.values())


def _without_policies(relations: tuple[Relation, ...]) -> str:
    return "".join(f"ALTER TABLE {each.name} DISABLE ROW LEVEL SECURITY;" for each in relations)
