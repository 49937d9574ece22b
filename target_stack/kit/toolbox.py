"""Everything that a service is built from, wired once for its process."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from target_stack.kit.background import BackgroundTasks
from target_stack.kit.breaker import Breaker, BreakerSettings
from target_stack.kit.breaker_mutants import MUTANTS
from target_stack.kit.bulkhead import Bulkhead, BulkheadSettings
from target_stack.kit.client import LinkSettings, ServiceClient
from target_stack.kit.clock import Clock
from target_stack.kit.database import Database, DatabaseFlaws, DatabaseLink
from target_stack.kit.identity import Identity
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.one_attempt import never_repeat
from target_stack.kit.protections import Protection
from target_stack.kit.recorder import Recorder
from target_stack.kit.retry import RetryBudget, RetryPolicy
from target_stack.kit.retry_mutants import MUTANTS as POLICY_MUTANTS
from target_stack.kit.seats import Relation
from target_stack.kit.settings import Settings
from target_stack.kit.telemetry import Tracing
from target_stack.kit.tenancy import Tenancy, Tenant
from target_stack.kit.tenant_database import TenantDatabase
from target_stack.kit.tenant_wishes import TenantGuide, Wish, WishFile

PATIENCE_WITHOUT_DEADLINE_S = 15.0
_TENANTS_SHARE = 0.625
"""How much of a link's places one tenant may hold, where several share the link."""
_RESERVE = 5.0
_LEAST_RESERVE = 3.0
"""Retries that a link may make before any call has paid for them: divided among its tenants, this many for each."""
_INVERTED = 4.0
"""How many times longer a service waits than its caller, without the protection timeout_order."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """How a link shall be protected; what is switched off for a proof is then left out."""

    attempt_timeout_s: float
    max_attempts: int = 1
    min_attempt_s: float = 0.1
    breaker: BreakerSettings | None = None
    bulkhead: BulkheadSettings | None = None
    third_party: bool = False


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The process-wide parts; its methods make what belongs to one link, with its series known from the start."""

    settings: Settings
    clock: Clock
    log: Log
    tracing: Tracing
    metrics: Metrics
    recorder: Recorder
    tasks: BackgroundTasks
    session: aiohttp.ClientSession
    identity: Identity | None = None

    def client(self, callee: str, url: str, plan: LinkPlan, tenants: Collection[str] | None = None) -> ServiceClient:
        """Return the client of the link from this service to *callee*, which *tenants* use (all without it).

        Where several tenants use it each has a breaker and a retry budget of its own, and a share of the places in the
        link's bulkhead: what fails or hangs for some only does not cut off the others. They are called
        "orders -> payments [acme]"; the link's own, "orders -> payments", are for calls of no tenant.
        """
        link = f"{self.settings.service} -> {callee}"
        if url.startswith("https://") and self.identity is None:
            msg = (
                f"{link} is {url}, but this service has no certificate: set IDENTITY as target_stack/target.yaml shows"
            )
            raise SystemExit(msg)
        self.recorder.know_retries(link, plan.max_attempts, self.settings.tenants if tenants is None else tenants)
        return ServiceClient(
            caller=self.settings.service,
            callee=callee,
            url=url,
            settings=self._link_settings(link, plan, self.settings.tenants if tenants is None else tenants),
            session=self.session,
            clock=self.clock,
            tracing=self.tracing,
            metrics=self.metrics,
            recorder=self.recorder,
        )

    def database(self) -> Database:
        """Return this service's own database, found at DATABASE_URL; it must be opened before use."""
        url, is_shared = self.settings.required("DATABASE_URL"), len(self.settings.tenants) > 1
        return self._database(f"{self.settings.service}-db", url, is_shared=is_shared)

    def tenant_database(self, relations: tuple[Relation, ...]) -> TenantDatabase:
        """Return the databases of a service that keeps each tenant's *relations* as its tenancy says.

        Silos are found at DATABASE_URL_ACME and so on; a tenant without one can be in the pool or in a bridge only.
        """
        tenants = self._tenants()
        silos = {}
        for tenant in tenants:
            url = self.settings.environment.get(f"DATABASE_URL_{tenant.upper().replace('-', '_')}")
            if url:
                silos[tenant] = self._database(f"{self.settings.service}-{tenant}-db", url)
        return TenantDatabase(
            self.database(),
            silos,
            tenants,
            relations=relations,
            is_isolated=self.is_on(Protection.TENANT_ISOLATION),
            log=self.log,
        )

    def tenant_guide(self, database: TenantDatabase, *wishes: Wish) -> TenantGuide:
        """Return the loop that moves tenants where *wishes*, the file TENANCY_FILE or their `tenancy` want them."""
        path = self.settings.environment.get("TENANCY_FILE")
        files = (WishFile(Path(path)),) if path else ()
        return TenantGuide(
            database,
            self._tenants(),
            (*wishes, *files),
            clock=self.clock,
            log=self.log,
            metrics=self.metrics,
            catches_up=self.is_on(Protection.MOVE_CATCH_UP),
        )

    def bulkhead(self, name: str, settings: BulkheadSettings) -> Bulkhead:
        """Return a bulkhead whose rejections are recorded."""
        bulkhead = Bulkhead(name, settings, self.recorder.bulkhead)
        self.recorder.know_bulkhead(bulkhead)
        return bulkhead

    def breaker(self, name: str, settings: BreakerSettings) -> Breaker:
        """Return a breaker whose changes and refusals are recorded."""
        make = next((mutant for off, mutant in MUTANTS.items() if not self.is_on(off)), Breaker)
        breaker = make(name, settings, self.clock, self.recorder.breaker)
        self.recorder.know_breaker(breaker)
        return breaker

    @property
    def patience(self) -> float:
        """How many times as long as its caller this process waits: once, where nobody inverts timeouts for a proof."""
        return 1.0 if self.is_on(Protection.TIMEOUT_ORDER) else _INVERTED

    def is_on(self, protection: Protection) -> bool:
        """Tell whether *protection* does its work in this process."""
        return self.settings.protections.on(protection)

    def _tenants(self) -> Mapping[str, Tenant]:
        tenants = self.settings.tenants
        if self.is_on(Protection.TENANCY):
            return tenants
        return {name: replace(tenant, tenancy=Tenancy.POOL) for name, tenant in tenants.items()}

    def _database(self, callee: str, url: str, *, is_shared: bool = False) -> Database:
        link = DatabaseLink(self.settings.service, callee, url)
        return Database(
            link,
            clock=self.clock,
            tracing=self.tracing,
            metrics=self.metrics,
            log=self.log,
            is_shared=is_shared,
            flaws=self._database_flaws(),
        )

    def _database_flaws(self) -> DatabaseFlaws:
        """Return what is wrong with the databases of this process: nothing, unless something is proved."""
        return DatabaseFlaws(
            one_pool=not self.is_on(Protection.POOL_SHARE),
            keeps_connections=not self.is_on(Protection.CONNECTION_RETURN),
            blames_itself=not self.is_on(Protection.ERROR_CLASSES),
        )

    def _link_settings(self, link: str, plan: LinkPlan, tenants: Collection[str]) -> LinkSettings:
        with_breaker = plan.breaker if self.is_on(Protection.BREAKER) else None
        with_bulkhead = plan.bulkhead if self.is_on(Protection.BULKHEAD) else None
        obeys_deadline = self.is_on(Protection.DEADLINE)
        attempt_timeout_s = plan.attempt_timeout_s * self.patience
        return LinkSettings(
            attempt_timeout_s=attempt_timeout_s if obeys_deadline else PATIENCE_WITHOUT_DEADLINE_S,
            retry=self._retry_policy(plan, tenants),
            breaker=self.breaker(link, with_breaker) if with_breaker else None,
            breaker_of=self._breakers_of(link, with_breaker, tenants) if with_breaker else {},
            bulkhead=self.bulkhead(link, with_bulkhead) if with_bulkhead else None,
            bulkhead_of=self._shares_of(link, with_bulkhead, tenants) if with_bulkhead else {},
            third_party=plan.third_party,
            passes_trace=self.is_on(Protection.TRACE_CONTEXT),
            keeps_keys=self.is_on(Protection.RETRY_KEY),
        )

    def _breakers_of(self, link: str, plan: BreakerSettings, tenants: Collection[str]) -> dict[str, Breaker]:
        """Return a breaker for each of several tenants: what fails for one only must not be refused to the others."""
        if len(tenants) < 2 or not self.is_on(Protection.BREAKER_SHARE):
            return {}
        return {tenant: self.breaker(f"{link} [{tenant}]", plan) for tenant in tenants}

    def _shares_of(self, link: str, plan: BulkheadSettings, tenants: Collection[str]) -> dict[str, Bulkhead]:
        """Return a smaller bulkhead for each of several tenants, so that the calls of one cannot take all places."""
        if len(tenants) < 2:
            return {}
        share = replace(plan, limit=max(1, int(plan.limit * _TENANTS_SHARE)))
        return {tenant: self.bulkhead(f"{link} [{tenant}]", share) for tenant in tenants}

    def _retry_policy(self, plan: LinkPlan, tenants: Collection[str]) -> RetryPolicy:
        policy = RetryPolicy(max_attempts=plan.max_attempts, min_attempt_s=plan.min_attempt_s)
        if plan.max_attempts == 1:
            return policy
        reserve = max(_LEAST_RESERVE, _RESERVE / max(1, len(tenants)))
        budget_of = {tenant: RetryBudget(reserve=reserve) for tenant in tenants}
        policy = replace(policy, budget=RetryBudget(reserve=_RESERVE), budget_of=budget_of)
        for off, mutated in POLICY_MUTANTS.items():
            policy = policy if self.is_on(off) else mutated(policy)
        return policy


def open_session(identity: Identity | None = None, *, repeats: bool = False) -> aiohttp.ClientSession:
    """Return the HTTP client of a process, made inside the event loop. Bulkheads bound connections, not its pool.

    One attempt is one request, unless the library *repeats* what a dropped connection left open.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=identity.client if identity else True)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        middlewares=() if repeats else (never_repeat,),
    )
