"""The metrics of a service, by tenant and by link; known series are there with value 0 before anything happens."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

_WORTH_COUNTING = (499, 500)
"""Callers who left and mistakes of our own: that there were none must be seen, not guessed."""


class Metrics:
    """One registry a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: Any = {"registry": self.registry}
        self.requests = Counter(
            "http_server_requests", "Requests answered", ["route", "method", "status", "tenant"], **own
        )
        self.request_duration = Histogram(
            "http_server_request_duration_seconds",
            "Time to answer",
            ["route", "tenant"],
            buckets=_LATENCY_BUCKETS_S,
            **own,
        )
        self.client_duration = Histogram(
            "http_client_request_duration_seconds",
            "Time of attempts",
            ["link", "status"],
            buckets=_LATENCY_BUCKETS_S,
            **own,
        )
        self.breaker_state = Gauge("resilience_breaker_state", "0 closed, 1 half-open, 2 open", ["name"], **own)
        self.breaker_transitions = Counter(
            "resilience_breaker_transitions", "Changes of state", ["name", "from_state", "to_state"], **own
        )
        self.breaker_refused = Counter("resilience_breaker_refused", "Calls refused by a breaker", ["name"], **own)
        self.bulkhead_in_use = Gauge("resilience_bulkhead_in_use", "Calls inside a bulkhead", ["name"], **own)
        self.bulkhead_limit = Gauge("resilience_bulkhead_limit", "Places in a bulkhead", ["name"], **own)
        self.bulkhead_rejected = Counter(
            "resilience_bulkhead_rejected", "Calls turned away by a bulkhead", ["name", "outcome"], **own
        )
        self.retry_attempts = Counter(
            "resilience_retry_attempts", "Attempts by number, 0 the first", ["link", "attempt"], **own
        )
        self.retry_refused = Counter("resilience_retry_refused", "Retries refused", ["link", "reason"], **own)
        self.retry_budget_spent = Counter(
            "resilience_retry_budget_spent", "Retries for which a tenant's budget was spent", ["link", "tenant"], **own
        )
        self.rate_limited = Counter(
            "resilience_rate_limit_refused", "Requests over their tenant's rate", ["tenant"], **own
        )
        self.deadline_exceeded = Counter(
            "resilience_deadline_exceeded", "Requests that their deadline ended", ["route"], **own
        )
        self.refused = Counter("http_server_refused", "Requests that were not let in", ["reason"], **own)

        self.restarts = Gauge("process_restarts", "Times that a supervisor started this service again", **own)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type: OpenMetrics with exemplars where *accept* asks for it, else Prometheus text."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def know_route(self, route: str, method: str, status: int, tenants: Iterable[str]) -> None:
        """Create the series of a route that answers *status* when all is well."""
        self.deadline_exceeded.labels(route)
        for tenant in tenants:
            for each in (status, *_WORTH_COUNTING):
                self.requests.labels(route, method, str(each), tenant)
            self.request_duration.labels(route, tenant)
