"""Following the monolith and telling it of our own invoices, for as long as either of the two may be asked."""

import asyncio
import contextlib
import json
from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from target_stack.kit.breaker import BreakerOpenError, BreakerSettings
from target_stack.kit.bulkhead import BulkheadFullError, BulkheadSettings
from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.client import Call, LinkError
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.invoices import MAX_PAGE, Invoice
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.billing.acl import Quarantined, believe, to_legacy, translate
from target_stack.services.billing.store import BillingStore

RECORDS_PATH = "/m/saetze"
_PLAN = LinkPlan(
    attempt_timeout_s=0.3,
    breaker=BreakerSettings(window_s=4.0, min_calls=5, slow_call_s=0.25, probe_lease_s=1.0),
    bulkhead=BulkheadSettings(limit=8, queue_limit=8, queue_wait_s=0.1),
)
_ROUND_EVERY_S = 0.5
_ROUND_LIMIT_S = 2.0
_FAILURES = (
    LinkError,
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    DatabaseUnavailableError,
    ValueError,
    TimeoutError,
)


class Monolith:
    """The link to the monolith; what comes over it passes the anti-corruption layer."""

    def __init__(self, toolbox: Toolbox, store: BillingStore) -> None:
        self._toolbox = toolbox
        self._store = store
        self._client = toolbox.client("legacy", toolbox.settings.required("LEGACY_URL"), _PLAN)
        self._syncs = toolbox.is_on(Protection.STRANGLER_SYNC)
        self._translates = toolbox.is_on(Protection.ANTI_CORRUPTION)
        self._locks = {tenant: asyncio.Lock() for tenant in toolbox.settings.tenants}
        self._known_odd: set[tuple[str, str]] = set()
        registry = toolbox.metrics.registry
        self._odd = Counter("resilience_acl_quarantined", "Records that were kept out", ["tenant"], registry=registry)
        self._held = Gauge("resilience_acl_quarantine_size", "Records in quarantine", ["tenant"], registry=registry)
        self._corrupt = Gauge(
            "resilience_billing_corrupt_rows", "Invoices that make no sense", ["tenant"], registry=registry
        )
        for tenant in toolbox.settings.tenants:
            self._odd.labels(tenant)
        self._rounds: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow the monolith from now on, for each tenant apart: a slow one holds up nobody else."""
        self._rounds = [
            asyncio.create_task(self._follow(tenant), name=f"follow the monolith for {tenant}")
            for tenant in self._locks
        ]

    def close(self) -> None:
        """Stop."""
        for task in self._rounds:
            task.cancel()

    async def catch_up(self, tenant: str, *, again: bool = False) -> bool:
        """Take in what is new, *again* with what is in quarantine; tell whether we know all that the monolith knows."""
        if not self._syncs:
            return True
        try:
            async with self._locks[tenant]:
                while await self._take_page(tenant, again=again):
                    again = False
        except _FAILURES:
            return False
        return True

    async def tell(self, invoice: Invoice) -> bool:
        """Tell the monolith of an invoice of ours; what fails is told by the next round."""
        if not self._syncs:
            return True
        body = json.dumps(to_legacy(invoice)).encode()
        try:
            answer = await self._client.call(Call("POST", RECORDS_PATH, RECORDS_PATH, body=body, idempotent=True))
            if answer.status == 201:
                await self._store.told(invoice)
        except _FAILURES:
            return False
        return answer.status == 201

    async def _take_page(self, tenant: str, *, again: bool) -> bool:
        """Take in one page; tell whether there may be more."""
        after = await self._store.followed(tenant, again=again)
        answer = await self._client.call(Call("GET", f"{RECORDS_PATH}?ab={after}", RECORDS_PATH, idempotent=True))
        if answer.status != 200:
            raise LinkError(self._client.link, "status", f"answered {answer.status}")
        records, number = _parse(answer.json())
        if records:
            meaning = translate if self._translates else believe
            found = [meaning(record, tenant) for record in records]
            self._note(
                tenant,
                await self._store.take_in(tenant, found, after=after, number=number, blindly=not self._translates),
            )
        return len(records) >= MAX_PAGE

    def _note(self, tenant: str, held: Iterable[Quarantined]) -> None:
        for each in held:
            if (tenant, each.name) in self._known_odd:
                continue
            self._known_odd.add((tenant, each.name))
            self._odd.labels(tenant).inc()
            self._toolbox.tracing.note("acl.quarantined", {"tenant.id": tenant, "acl.reason": each.reason})
            self._toolbox.log.warning("a record of the monolith was quarantined", tenant=tenant, reason=each.reason)

    async def _follow(self, tenant: str) -> None:
        while True:
            with contextlib.suppress(*_FAILURES):  # the next round is near
                async with asyncio.timeout(_ROUND_LIMIT_S):
                    await self._attend_to(tenant)
            await asyncio.sleep(_ROUND_EVERY_S)

    async def _attend_to(self, tenant: str) -> None:
        set_context(CallContext(Deadline.after(_ROUND_LIMIT_S, self._toolbox.clock), named_tenant=tenant))
        await self.catch_up(tenant, again=True)
        if self._syncs:
            for invoice in await self._store.untold(tenant, 50):
                await self.tell(invoice)
        corrupt, held = await self._store.audit(tenant)
        self._corrupt.labels(tenant).set(corrupt)
        self._held.labels(tenant).set(held)


def _parse(document: object) -> tuple[list[object], int]:
    if not isinstance(document, dict) or not isinstance(document.get("SAETZE"), list):
        msg = "the monolith's answer is no list of records"
        raise ValueError(msg)  # noqa: TRY004 - like any other malformed answer
    number = document.get("STAND")
    if type(number) is not int:
        msg = "the monolith's answer does not say how far it goes"
        raise ValueError(msg)
    return document["SAETZE"], number
