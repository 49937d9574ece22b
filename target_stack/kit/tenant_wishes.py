"""Where each tenant is wanted, and the loop that brings it there: moving a tenant is a change of configuration.

A wish comes from the first source that has one: a feature flag, the file TENANCY_FILE ({"initech": "silo"}), and in the
end the tenant's own `tenancy`. A wish that goes away takes the tenant back.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from target_stack.kit.clock import Clock
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.tenancy import Tenancy, Tenant
from target_stack.kit.tenant_database import TenantDatabase
from target_stack.kit.tenant_metrics import TenancyMetrics
from target_stack.kit.tenant_move import MoveFailedError, Mover, MoveStep

Wish = Callable[[str], Tenancy | None]
TENANCY_FLAG = "tenancy"
"""Set for one tenant to "silo", say; "configured" leaves it to the other sources."""
LOOK_EVERY_S = 0.25
_PAUSE_S = 2.0


def wish_of_flag(value: object) -> Tenancy | None:
    """Return the wish that the flag's value is; None for one that is none."""
    return next((tenancy for tenancy in Tenancy if tenancy.value == value), None)


class WishFile:
    """Wishes in a JSON file, read again when it changes.

    Without a file there are none. What cannot be read changes nothing: it would take tenants back where they came from.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen_ns = -1
        self._wishes: Mapping[str, Tenancy] = {}

    def __call__(self, tenant: str) -> Tenancy | None:
        """Return where *tenant* is wanted."""
        changed_ns = self._changed_ns()
        if changed_ns != self._seen_ns:
            self._seen_ns, self._wishes = changed_ns, self._read() if changed_ns else {}
        return self._wishes.get(tenant)

    def write(self, tenant: str, to: Tenancy) -> None:
        """Wish *tenant* elsewhere; readers see the file before or after, never half of it."""
        wishes = {**{name: wish.value for name, wish in self._read().items()}, tenant: to.value}
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        aside.write_text(json.dumps(wishes))
        aside.replace(self._path)

    def _changed_ns(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _read(self) -> dict[str, Tenancy]:
        try:
            raw = json.loads(self._path.read_text())
        except (OSError, ValueError, RecursionError):
            return dict(self._wishes)
        if not isinstance(raw, dict):
            return dict(self._wishes)
        read = {tenant: wish_of_flag(wish) or self._wishes.get(tenant) for tenant, wish in raw.items()}
        return {tenant: wish for tenant, wish in read.items() if wish is not None}


class TenantGuide:
    """Watches the wishes and moves tenants."""

    def __init__(
        self,
        database: TenantDatabase,
        tenants: Mapping[str, Tenant],
        wishes: tuple[Wish, ...],
        *,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        catches_up: bool = True,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._wishes = wishes
        self._log = log
        self._clock = clock
        self._metrics = TenancyMetrics(metrics.registry, tenants)
        self._mover = Mover(database, clock, log, self._stepped, catches_up=catches_up)
        self._paused_until_s: dict[str, float] = {}

    def wanted(self, tenant: str) -> Tenancy:
        """Return where *tenant* is to be."""
        found = (wish(tenant) for wish in self._wishes)
        return next((each for each in found if each is not None), self._tenants[tenant].tenancy)

    async def run(self) -> None:
        """Look and move until cancelled, each tenant apart: one whose database hangs holds up its own move alone."""
        async with asyncio.TaskGroup() as tenants:
            for tenant in self._tenants:
                tenants.create_task(self._follow(tenant), name=f"guide {tenant}")

    async def _follow(self, tenant: str) -> None:
        while True:
            await self._look_after(tenant)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_after(self, tenant: str) -> None:
        home, wanted = self._database.home_of(tenant), self.wanted(tenant)
        self._metrics.show_home(tenant, home)
        if home in (None, wanted) or self._clock.monotonic_s() < self._paused_until_s.get(tenant, 0.0):
            return
        try:
            await self._mover.move(tenant, wanted)
        except MoveFailedError as error:
            self._paused_until_s[tenant] = self._clock.monotonic_s() + _PAUSE_S
            self._log.warning("a tenant could not be moved", tenant=tenant, to=wanted.value, error=str(error))
        else:
            self._log.info("a tenant was moved", tenant=tenant, to=wanted.value)
        self._metrics.show_home(tenant, self._database.home_of(tenant))

    def _stepped(self, tenant: str, step: MoveStep) -> None:
        self._metrics.steps.labels(tenant, step.value).inc()
