"""Invoices come from the monolith or from billing, by tenant and flag; in between both are asked and compared."""

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web
from prometheus_client import Counter

from target_stack.kit.call_context import current_tenant
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.errors import current_trace_id
from target_stack.kit.flags import Flags
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.gateway.forward import call_of, forward

SOURCE_FLAG = "billing.source"
_LOOK_AGAIN_S = 0.3
_COMPARISONS = 4
_COMPARED = ("tenant", "invoices", "next")


class Strangler:
    """Routes /billing/invoices; LEGACY_URL and BILLING_URL lead to the two."""

    def __init__(self, toolbox: Toolbox, flags: Flags) -> None:
        plan = LinkPlan(attempt_timeout_s=15.0)
        required = toolbox.settings.required
        self._legacy = toolbox.client("legacy", required("LEGACY_URL"), plan)
        self._billing = toolbox.client("billing", required("BILLING_URL"), plan)
        self._toolbox = toolbox
        self._flags = flags
        self._places = asyncio.Semaphore(_COMPARISONS)
        registry = toolbox.metrics.registry
        self._routed = Counter(
            "resilience_strangler_requests", "Requests by source", ["tenant", "source"], registry=registry
        )
        self._compared = Counter("resilience_strangler_compared", "Answers compared", ["tenant"], registry=registry)
        self._mismatches = Counter(
            "resilience_strangler_mismatches", "Answers that differ", ["tenant"], registry=registry
        )
        for tenant in toolbox.settings.tenants:
            self._compared.labels(tenant)
            self._mismatches.labels(tenant)

    async def forward(self, request: web.Request, route: str, budget_s: float) -> web.Response:
        """Pass the request to the tenant's source; in the shadow, ask billing for what was read as well."""
        tenant = current_tenant()
        source = self._flags.text(SOURCE_FLAG, default="legacy", tenant=tenant)
        self._routed.labels(tenant, source).inc()
        if source == "billing":
            return await forward(request, route, self._billing, budget_s)
        answer = await forward(request, route, self._legacy, budget_s)
        if source == "shadow" and request.method == "GET" and not self._places.locked():
            call = await call_of(request, route, budget_s)
            self._toolbox.tasks.start("compare invoices", self._compare(call, tenant))
        return answer

    async def _compare(self, call: Call, tenant: str) -> None:
        """Ask both; what differs may have been written in between, so differences are looked at again."""
        async with self._places:
            with contextlib.suppress(LinkError, ValueError):
                if await self._differ(call):
                    await asyncio.sleep(_LOOK_AGAIN_S)
                    if await self._differ(call):
                        self._mismatches.labels(tenant).inc()
                        about = {"tenant.id": tenant, "trace": current_trace_id()}
                        self._toolbox.tracing.note("strangler.mismatch", dict(about))
                self._compared.labels(tenant).inc()

    async def _differ(self, call: Call) -> bool:
        answers = await asyncio.gather(_ask(self._legacy, call), _ask(self._billing, call))
        return bool(answers[0] != answers[1])


async def _ask(client: ServiceClient, call: Call) -> Any:
    answer = await client.call(call)
    content = json.loads(answer.body)
    return answer.status, [content.get(name) for name in _COMPARED] if isinstance(content, dict) else content
