"""From span events to the run's events: what protections did, told by the services themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.model.run.events import Event, Kind, Value
from harness.telemetry.span_rows import ReceivedSpan, SpanEvent

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: Kind
    fields: dict[str, str]  # field of the event -> attribute of the span event
    with_tenant: bool = True


_MEANINGS = {
    "resilience.breaker.state_changed": _Meaning(
        Kind.BREAKER_CHANGED,
        {
            "breaker": "resilience.breaker.name",
            "from_state": "resilience.breaker.from",
            "to_state": "resilience.breaker.to",
        },
    ),
    "resilience.breaker.refused": _Meaning(Kind.BREAKER_REFUSED, {"breaker": "resilience.breaker.name"}),
    "resilience.bulkhead.rejected": _Meaning(
        Kind.BULKHEAD_REJECTED, {"bulkhead": "resilience.bulkhead.name", "outcome": "resilience.bulkhead.outcome"}
    ),
    "resilience.retry.scheduled": _Meaning(
        Kind.RETRY_SCHEDULED,
        {"link": "link", "attempt": "resilience.retry.attempt", "delay_ms": "resilience.retry.delay_ms"},
        with_tenant=False,
    ),
    "resilience.retry.refused": _Meaning(Kind.RETRY_REFUSED, {"link": "link", "reason": "reason"}, with_tenant=False),
    "resilience.deadline.exceeded": _Meaning(Kind.DEADLINE_EXCEEDED, {}),
    "resilience.rate_limit.refused": _Meaning(Kind.RATE_LIMITED, {}),
}


def run_events(received: ReceivedSpan) -> Iterator[Event]:
    """Yield what a span tells of protections, at the time at which it happened there."""
    for event in received.events:
        meaning = _MEANINGS.get(event.name)
        if meaning:
            yield Event(event.time_ns, meaning.kind, _fields(meaning, received, event))


def _fields(meaning: _Meaning, received: ReceivedSpan, event: SpanEvent) -> dict[str, Value]:
    fields: dict[str, Value] = {"service": received.service}
    fields |= {name: _flat(event.attributes.get(attribute)) for name, attribute in meaning.fields.items()}
    if meaning.with_tenant:
        fields["tenant"] = _flat(event.attributes.get("tenant.id", received.attributes.get("tenant.id")))
    return fields | {"trace_id": received.span.trace_id.hex()}


def _flat(value: object) -> Value:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


class BoundedEvents:
    """Passes events on up to a bound, changes of a breaker's state always; counts the rest."""

    def __init__(self, emit: Emit, *, most: int) -> None:
        self._emit = emit
        self._left = most
        self.withheld = 0

    def __call__(self, event: Event) -> None:
        """Pass *event* on, or count it."""
        if event.kind is not Kind.BREAKER_CHANGED:
            if self._left == 0:
                self.withheld += 1
                return
            self._left -= 1
        self._emit(event)
