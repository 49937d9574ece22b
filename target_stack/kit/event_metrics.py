"""The metrics of events, on both sides of the broker; a service that has no events has none of these series."""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

LATE_S = 2.0
"""When an effect is late: far above what outbox, broker and consumer take together while all is well."""


class Outcome(Enum):
    """What became of one delivery."""

    APPLIED = "applied"
    REPEATED = "repeated"
    RETRIED = "retried"
    DEAD = "dead"


class OutboxMetrics:
    """What waits to be published, and what was."""

    def __init__(self, registry: CollectorRegistry, tenants: Iterable[str]) -> None:
        own: Any = {"registry": registry}
        self.pending = Gauge("resilience_outbox_pending", "Events that wait to be published", ["tenant"], **own)
        self.parked = Gauge(
            "resilience_outbox_parked", "Events that can never be published as they are", ["tenant"], **own
        )
        self.published = Counter(
            "resilience_events_published", "Events that the broker acknowledged", ["tenant"], **own
        )
        self.failures = Counter("resilience_events_publish_failures", "Attempts to publish that failed", **own)
        for tenant in tenants:
            self.pending.labels(tenant)
            self.parked.labels(tenant)
            self.published.labels(tenant)


class ConsumerMetrics:
    """What arrived, what became of it, and how far behind the consumer is."""

    def __init__(self, registry: CollectorRegistry, tenants: Iterable[str]) -> None:
        own: Any = {"registry": registry}
        self.consumed = Counter(
            "resilience_events_consumed", "Deliveries by what became of them", ["tenant", "outcome"], **own
        )
        self.late = Counter(
            "resilience_events_late", f"Events that took effect after more than {LATE_S:g} s", ["tenant"], **own
        )
        self.lag = Gauge("resilience_consumer_lag", "Events in the stream that were not delivered yet", **own)
        self.contact_age = Gauge(
            "resilience_consumer_contact_age_seconds", "Time since the broker last answered", **own
        )
        for tenant in tenants:
            self.late.labels(tenant)
            for outcome in Outcome:
                self.consumed.labels(tenant, outcome.value)
