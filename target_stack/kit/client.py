"""A client for one link: deadline, retry, bulkhead and breaker put around single attempts.

Order, outermost first: retry -> bulkhead -> breaker -> attempt. The breaker sits inside the bulkhead so that what it
measures is the callee and not our own queue; a call that either of them refuses never reaches the link.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from opentelemetry.trace import Span
from yarl import URL

from target_stack.kit.breaker import Breaker, Permit
from target_stack.kit.bulkhead import Bulkhead
from target_stack.kit.call_context import TENANT_HEADER, CallContext, current_context
from target_stack.kit.clock import Clock
from target_stack.kit.deadline import DEADLINE_HEADER, Deadline
from target_stack.kit.errors import FAILED_DEPENDENCY_HEADER
from target_stack.kit.inputs import IDEMPOTENCY_KEY_HEADER
from target_stack.kit.metrics import Metrics
from target_stack.kit.recorder import Recorder
from target_stack.kit.retry import RetryPolicy, RetryRefusalReason, RetryRefused, RetryScheduled
from target_stack.kit.retry_after import pause_asked_s
from target_stack.kit.telemetry import Attributes, Tracing, mark_failed, trace_headers

JUST_ONCE = RetryPolicy(max_attempts=1)
_RETRYABLE = frozenset({502, 503, 504})
_FAIR_SHARE = 0.75
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a callee; `route` is the template that names it in traces."""

    method: str
    path: str
    route: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = False
    deadline: Deadline | None = None  # what the callee is told, in place of the running request's


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a callee, whatever the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_unix_s: float = field(default_factory=time.time, compare=False)

    def json(self) -> Any:
        """Return the parsed body; raise ValueError when it is no JSON."""
        return json.loads(self.body)

    def retry_after_s(self) -> float:
        """Return the pause that the callee asked for, 0.0 when it asked for none."""
        return pause_asked_s(self.headers, self.received_unix_s)


class LinkError(Exception):
    """No answer came over the link; the message says why."""

    def __init__(self, link: str, error_type: str, message: str) -> None:
        super().__init__(f"{link}: {message}")
        self.link = link
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How a link is protected; None leaves a protection out."""

    attempt_timeout_s: float
    retry: RetryPolicy = JUST_ONCE
    breaker: Breaker | None = None
    breaker_of: Mapping[str, Breaker] = field(default_factory=dict)  # tenants that do not share `breaker`
    bulkhead: Bulkhead | None = None
    bulkhead_of: Mapping[str, Bulkhead] = field(default_factory=dict)  # each tenant's share of it
    third_party: bool = False  # gets neither our tokens nor our deadlines
    passes_trace: bool = True
    keeps_keys: bool = True  # all attempts of a call carry the same Idempotency-Key


class ServiceClient:
    """Calls one callee; where no answer came it raises Link-, DeadlineExceeded-, BreakerOpen- or BulkheadFullError."""

    def __init__(
        self,
        *,
        caller: str,
        callee: str,
        url: str,
        settings: LinkSettings,
        session: aiohttp.ClientSession,
        clock: Clock,
        tracing: Tracing,
        metrics: Metrics,
        recorder: Recorder,
    ) -> None:
        self.link = f"{caller} -> {callee}"
        self._callee = callee
        self._url = url.rstrip("/")
        self._proves = callee if url.startswith("https://") else None  # whatever address the link leads over
        self._settings = settings
        self._session = session
        self._clock = clock
        self._tracing = tracing
        self._metrics = metrics
        self._recorder = recorder
        self._rng = random.Random()

    async def call(self, call: Call) -> Answer:
        """Make the call, again where that is allowed, and return the last answer."""
        context = current_context() or CallContext(Deadline.unlimited(self._clock))
        budget = self._settings.retry.budget_for(context.tenant)
        if budget is not None:
            budget.pay_in()
        for attempt in range(self._settings.retry.max_attempts):
            result = await self._guarded(call, context, attempt)
            delay_s = self._delay_before_retry(call, context, result, attempt + 1)
            if delay_s is None:
                break
            await asyncio.sleep(delay_s)
        if isinstance(result, LinkError):
            raise result
        return result

    def _delay_before_retry(
        self, call: Call, context: CallContext, result: Answer | LinkError, failed_attempts: int
    ) -> float | None:
        if isinstance(result, Answer) and result.status not in _RETRYABLE:
            return None
        decision = self._settings.retry.decide(
            failed_attempts=failed_attempts,
            idempotent=call.idempotent,
            remaining_s=context.deadline.remaining_s(),
            retry_after_s=result.retry_after_s() if isinstance(result, Answer) else 0.0,
            rng=self._rng,
            tenant=context.tenant,
        )
        if isinstance(decision, RetryRefusalReason):
            self._recorder.retry(RetryRefused(self.link, decision, context.tenant))
            return None
        if decision is not None:
            self._recorder.retry(RetryScheduled(self.link, failed_attempts, int(decision * 1000)))
        return decision

    async def _guarded(self, call: Call, context: CallContext, attempt: int) -> Answer | LinkError:
        async with AsyncExitStack() as places:
            share = self._settings.bulkhead_of.get(context.tenant)
            if share is not None:
                await places.enter_async_context(share.place())
            if self._settings.bulkhead is not None:
                await places.enter_async_context(self._settings.bulkhead.place())
            timeout_s = context.deadline.bound(self._settings.attempt_timeout_s)
            breaker = self._settings.breaker_of.get(context.tenant, self._settings.breaker)
            permit = breaker.acquire() if breaker is not None else None
            try:
                result = await self._attempt(call, context, attempt, timeout_s)
            except BaseException:
                if permit is not None:
                    permit.abandoned()
                raise
            if permit is not None:
                self._report(permit, result, timeout_s)
            return result

    def _report(self, permit: Permit, result: Answer | LinkError, timeout_s: float) -> None:
        if isinstance(result, Answer) and (result.status < 500 or FAILED_DEPENDENCY_HEADER in result.headers):
            permit.succeeded()
        elif _is_timeout(result) and timeout_s < _FAIR_SHARE * self._settings.attempt_timeout_s:
            permit.abandoned()  # our own deadline cut it short: the callee never had its fair time
        else:
            permit.failed()

    async def _attempt(self, call: Call, context: CallContext, attempt: int, timeout_s: float) -> Answer | LinkError:
        self._metrics.retry_attempts.labels(self.link, str(attempt)).inc()
        started_s = self._clock.monotonic_s()
        status = "cancelled"
        try:
            with self._tracing.client_span(
                f"{call.method} {call.route}", self._attributes(call, context, attempt)
            ) as span:
                result = await self._send(call, context, timeout_s)
                status = _describe(span, result)
                return result
        finally:
            self._metrics.client_duration.labels(self.link, status).observe(self._clock.monotonic_s() - started_s)

    async def _send(self, call: Call, context: CallContext, timeout_s: float) -> Answer | LinkError:
        trace = trace_headers() if self._settings.passes_trace else {}
        headers = {**call.headers, **trace, **self._context_headers(call, context, timeout_s)}
        if IDEMPOTENCY_KEY_HEADER in headers and not self._settings.keeps_keys:
            headers[IDEMPOTENCY_KEY_HEADER] += f":{self._rng.getrandbits(32):x}"
        url = URL(self._url + call.path, encoded=True)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    call.method,
                    url,
                    data=call.body,
                    headers=headers,
                    skip_auto_headers=_NO_AUTO_HEADERS,
                    allow_redirects=False,
                    server_hostname=self._proves,
                ) as response,
            ):
                return Answer(response.status, response.headers, await response.read())
        except TimeoutError:
            return LinkError(self.link, "timeout", f"no answer within {timeout_s * 1000:.0f} ms")
        except (aiohttp.ClientError, OSError) as error:
            return LinkError(self.link, type(error).__name__, str(error) or type(error).__name__)

    def _context_headers(self, call: Call, context: CallContext, timeout_s: float) -> dict[str, str]:
        headers = {TENANT_HEADER: context.tenant} if context.tenant else {}
        if self._settings.third_party:
            return headers
        if context.caller is not None:
            headers["Authorization"] = f"Bearer {context.caller.token}"
        remaining_ms = call.deadline.remaining_ms() if call.deadline is not None else _told_ms(context, timeout_s)
        if remaining_ms is not None:
            headers[DEADLINE_HEADER] = str(remaining_ms)
        return headers

    def _attributes(self, call: Call, context: CallContext, attempt: int) -> Attributes:
        attributes: Attributes = {
            "peer.service": self._callee,
            "http.request.method": call.method,
            "http.route": call.route,
            "resilience.retry.attempt": attempt,
        }
        if context.tenant:
            attributes["tenant.id"] = context.tenant
        return attributes


def _told_ms(context: CallContext, timeout_s: float) -> int | None:
    """Return what the callee is told: no longer than this attempt waits."""
    return None if context.deadline.remaining_ms() is None else int(timeout_s * 1000)


def _is_timeout(result: Answer | LinkError) -> bool:
    return result.status == 504 if isinstance(result, Answer) else result.error_type == "timeout"


def _describe(span: Span, result: Answer | LinkError) -> str:
    """Write the outcome on the span and return it as the metric's status."""
    if isinstance(result, LinkError):
        mark_failed(span, result.error_type)
        return result.error_type
    span.set_attribute("http.response.status_code", result.status)
    if result.status >= 500:
        mark_failed(span, str(result.status))
    return str(result.status)
