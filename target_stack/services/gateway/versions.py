"""Two versions of a service side by side: which one a request gets, and how each of them does at the same time."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from opentelemetry import trace
from prometheus_client import Counter, Histogram

from target_stack.kit.call_context import current_tenant
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.errors import STALE_HEADER, ApiError, current_trace_id
from target_stack.kit.flags import Flags
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.gateway.forward import call_of, forward

SESSION_HEADER = "X-Session-Id"
SHARE_FLAG = "catalog.canary"
_REPORT_EVERY_S = 0.4
_COMPARE_EACH = 2
_MOST_LATENCIES = 200
_NOT_COMPARED = frozenset({"stale"})
_SESSIONS_KNOWN = 10_000


class Seen:
    """What was seen of one version since the last report."""

    def __init__(self) -> None:
        self.requests = self.failures = self.compared = self.mismatched = 0
        self.latencies_ms: list[float] = []

    def add(self, *, failed: bool, latency_ms: float) -> None:
        """Count one request."""
        self.requests += 1
        self.failures += failed
        self.latencies_ms = [*self.latencies_ms[1 - _MOST_LATENCIES :], round(latency_ms, 2)]

    def as_json(self) -> Mapping[str, Any]:
        """Return it as the release controller reads it."""
        return dict(vars(self))


class SessionsSeen:
    """Remembers the last sessions that met the new version, to notice one that meets the old one again."""

    def __init__(self, most: int = _SESSIONS_KNOWN) -> None:
        self._most = most
        self._new: dict[str, None] = {}

    def has_gone_back(self, session: str, *, is_new: bool) -> bool:
        """Tell whether *session*, which gets the new version or the old one now, was further before."""
        if not is_new:
            return session in self._new
        self._new[session] = None
        if len(self._new) > self._most:
            del self._new[next(iter(self._new))]
        return False


class Versions:
    """Sends a share of the requests, the same sessions again and again, to the new version of catalog."""

    def __init__(self, toolbox: Toolbox, flags: Flags, stable: ServiceClient) -> None:
        environment = toolbox.settings.environment
        canary, release = environment.get("CATALOG_CANARY_URL"), environment.get("RELEASE_URL")
        plan = LinkPlan(attempt_timeout_s=15.0)
        self._toolbox = toolbox
        self._flags = flags
        self._stable = stable
        self._canary = toolbox.client("catalog-canary", canary, plan) if canary else None
        self._release = toolbox.client("release", release, LinkPlan(attempt_timeout_s=1.0)) if release else None
        self._is_sticky = toolbox.is_on(Protection.STICKY_SHARES)
        self._sessions = SessionsSeen()
        self._seen = {"stable": Seen(), "canary": Seen()}
        registry = toolbox.metrics.registry
        labels = ["service", "version", "tenant", "status"]
        self._requests = Counter("resilience_release_requests", "Requests by version", labels, registry=registry)
        self._mismatches = Counter(
            "resilience_release_mismatches", "Answers unlike the old version's", registry=registry
        )
        self._gone_back = Counter(
            "resilience_release_sessions_gone_back",
            "Requests on the old version of sessions that had the new one",
            registry=registry,
        )
        self._duration = Histogram("resilience_release_request_duration_seconds", "Time", labels[:2], registry=registry)
        self._stale = Counter(
            "resilience_stale_answers", "Answers that say that they are of before", ["tenant"], registry=registry
        )
        for tenant in toolbox.settings.tenants:
            self._stale.labels(tenant)
        self._reporting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Report to the release controller from now on."""
        if self._release is not None:
            self._reporting = asyncio.create_task(self._report(self._release), name="report versions")

    async def close(self) -> None:
        """Report no more."""
        if self._reporting is not None:
            self._reporting.cancel()

    async def forward(self, request: web.Request, route: str, budget_s: float) -> web.Response:
        """Pass the request to the version that is its session's."""
        canary = self._canary if self._canary is not None and self._is_canary(request) else None
        version = "canary" if canary is not None else "stable"
        trace.get_current_span().set_attribute("service.version", version)
        started_s = time.perf_counter()
        try:
            answer = await forward(request, route, canary or self._stable, budget_s)
        except ApiError as error:
            self._note(version, error.status, time.perf_counter() - started_s)
            raise
        self._note(version, answer.status, time.perf_counter() - started_s)
        if STALE_HEADER in answer.headers:
            self._stale.labels(current_tenant()).inc()
        if canary is not None and self._is_due(answer):
            self._toolbox.tasks.start(
                "compare versions", self._compare(await call_of(request, route, budget_s), answer)
            )
        return answer

    def _is_canary(self, request: web.Request) -> bool:
        tenant, session = current_tenant(), request.headers.get(SESSION_HEADER)
        stays = session if self._is_sticky else None
        key = f"{tenant}/{stays or current_trace_id()}"
        is_canary = self._flags.is_on(SHARE_FLAG, default=False, tenant=tenant, key=key)
        if session is not None and self._sessions.has_gone_back(f"{tenant}/{session}", is_new=is_canary):
            self._gone_back.inc()
        return is_canary

    def _note(self, version: str, status: int, duration_s: float) -> None:
        self._seen[version].add(failed=status >= 500, latency_ms=duration_s * 1000)
        self._requests.labels("catalog", version, current_tenant(), str(status)).inc()
        self._duration.labels("catalog", version).observe(duration_s)

    def _is_due(self, answer: web.Response) -> bool:
        return answer.status == 200 and self._seen["canary"].requests % _COMPARE_EACH == 0

    async def _compare(self, call: Call, answer: web.Response) -> None:
        """Ask the old version too; the client has its answer already."""
        with contextlib.suppress(LinkError, ValueError):
            other = await self._stable.call(call)
            if other.status != answer.status or not isinstance(answer.body, bytes):
                return
            seen = self._seen["canary"]
            seen.compared += 1
            if _content(answer.body) != _content(other.body):
                seen.mismatched += 1
                self._mismatches.inc()
                self._toolbox.tracing.note("release.mismatch", {"service": "catalog", "trace": current_trace_id()})

    async def _report(self, release: ServiceClient) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            if self._seen["canary"].requests == 0:
                continue
            told, self._seen = self._seen, {"stable": Seen(), "canary": Seen()}
            body = json.dumps({version: seen.as_json() for version, seen in told.items()}).encode()
            with contextlib.suppress(LinkError):
                await release.call(Call("POST", "/observations", "/observations", body=body))


def _content(body: bytes) -> Any:
    content = json.loads(body)
    return {k: v for k, v in content.items() if k not in _NOT_COMPARED} if isinstance(content, dict) else content
