"""Turns what the patterns report into span events and metrics; the patterns themselves know neither."""

from collections.abc import Iterable

from target_stack.kit.breaker import Breaker, BreakerChanged, BreakerEvent, BreakerState
from target_stack.kit.bulkhead import Bulkhead, BulkheadOutcome, BulkheadRejection
from target_stack.kit.metrics import Metrics
from target_stack.kit.ratelimit import RateLimited
from target_stack.kit.retry import RetryEvent, RetryRefusalReason, RetryScheduled
from target_stack.kit.telemetry import Attributes, Tracing

_STATE_VALUE = {state: number for number, state in enumerate(BreakerState)}
_TRANSITIONS = (
    (BreakerState.CLOSED, BreakerState.OPEN),
    (BreakerState.OPEN, BreakerState.HALF_OPEN),
    (BreakerState.HALF_OPEN, BreakerState.OPEN),
    (BreakerState.HALF_OPEN, BreakerState.CLOSED),
)


class Recorder:
    """The listener of every pattern in a service."""

    def __init__(self, tracing: Tracing, metrics: Metrics) -> None:
        self._tracing = tracing
        self._metrics = metrics

    def know_breaker(self, breaker: Breaker) -> None:
        """Create the series of a breaker."""
        self._metrics.breaker_state.labels(breaker.name).set(_STATE_VALUE[breaker.state])
        self._metrics.breaker_refused.labels(breaker.name)
        for before, after in _TRANSITIONS:
            self._metrics.breaker_transitions.labels(breaker.name, before.value, after.value)

    def know_bulkhead(self, bulkhead: Bulkhead) -> None:
        """Create the series of a bulkhead; its use is read when somebody asks."""
        self._metrics.bulkhead_limit.labels(bulkhead.name).set(bulkhead.settings.limit)
        self._metrics.bulkhead_in_use.labels(bulkhead.name).set_function(lambda: bulkhead.in_use)
        for outcome in BulkheadOutcome:
            self._metrics.bulkhead_rejected.labels(bulkhead.name, outcome.value)

    def know_retries(self, link: str, max_attempts: int, tenants: Iterable[str] = ()) -> None:
        """Create the series of a link that is retried (or tried just once)."""
        if max_attempts > 1:
            for tenant in tenants:
                self._metrics.retry_budget_spent.labels(link, tenant)
        for attempt in range(max_attempts):
            self._metrics.retry_attempts.labels(link, str(attempt))
        for reason in RetryRefusalReason:
            self._metrics.retry_refused.labels(link, reason.value)

    def breaker(self, event: BreakerEvent) -> None:
        """Record a change of state or a refusal of a breaker."""
        if isinstance(event, BreakerChanged):
            self._breaker_changed(event)
            return
        self._metrics.breaker_refused.labels(event.name).inc()
        self._tracing.note("resilience.breaker.refused", {"resilience.breaker.name": event.name})

    def bulkhead(self, event: BulkheadRejection) -> None:
        """Record that a bulkhead turned a call away."""
        self._metrics.bulkhead_rejected.labels(event.name, event.outcome.value).inc()
        attributes: Attributes = {
            "resilience.bulkhead.name": event.name,
            "resilience.bulkhead.outcome": event.outcome.value,
        }
        self._tracing.note("resilience.bulkhead.rejected", attributes)

    def retry(self, event: RetryEvent) -> None:
        """Record that a retry was scheduled or refused."""
        if isinstance(event, RetryScheduled):
            attributes: Attributes = {
                "link": event.link,
                "resilience.retry.attempt": event.attempt,
                "resilience.retry.delay_ms": event.delay_ms,
            }
            self._tracing.note("resilience.retry.scheduled", attributes)
            return
        self._metrics.retry_refused.labels(event.link, event.reason.value).inc()
        if event.reason is RetryRefusalReason.BUDGET:
            self._metrics.retry_budget_spent.labels(event.link, event.tenant).inc()
        self._tracing.note("resilience.retry.refused", {"link": event.link, "reason": event.reason.value})

    def rate_limited(self, event: RateLimited) -> None:
        """Record that a request was over its tenant's rate."""
        self._metrics.rate_limited.labels(event.tenant).inc()
        self._tracing.note("resilience.rate_limit.refused", {"tenant.id": event.tenant})

    def deadline_exceeded(self, route: str) -> None:
        """Record that a deadline ended a request."""
        self._metrics.deadline_exceeded.labels(route).inc()
        self._tracing.note("resilience.deadline.exceeded", {})

    def _breaker_changed(self, event: BreakerChanged) -> None:
        self._metrics.breaker_state.labels(event.name).set(_STATE_VALUE[event.after])
        self._metrics.breaker_transitions.labels(event.name, event.before.value, event.after.value).inc()
        attributes: Attributes = {
            "resilience.breaker.name": event.name,
            "resilience.breaker.from": event.before.value,
            "resilience.breaker.to": event.after.value,
        }
        self._tracing.note("resilience.breaker.state_changed", attributes)
