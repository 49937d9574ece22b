"""What a stranger asks first: who was hurt, how fast was it contained, when was it over, what broke first."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from harness.evidence.facts import faulted_links
from harness.model.result.finding import Verdict, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.recording.columns import Table
from harness.report.experience import Experience, experiences
from harness.report.observed import Observed

_PROTECTIONS = {
    Kind.RATE_LIMITED: "rate limit of {tenant} at {service}",
    Kind.BULKHEAD_REJECTED: "bulkhead {bulkhead} was full",
    Kind.DEADLINE_EXCEEDED: "deadline at {service}",
}
"""What contains, besides a breaker that opens, in the order of preference."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something at a moment, told relative to the fault."""

    after_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """When the last tenant was back inside its limits, in seconds after the fault ended; None: not before the end."""

    after_s: float | None
    resolution_s: int


@dataclass(frozen=True, slots=True)
class Answers:
    """All of it. None where the recording does not tell."""

    experiences: tuple[Experience, ...]
    contained: Happened | None
    recovered: Recovered | None
    broke_first: Happened | None

    @property
    def hurt(self) -> tuple[Experience, ...]:
        """Those who were hurt, declared ones first."""
        return tuple(sorted((e for e in self.experiences if e.hurt), key=lambda e: not e.declared))

    @property
    def hurt_undeclared(self) -> tuple[Experience, ...]:
        """Those who were hurt though nobody allowed it."""
        return tuple(e for e in self.hurt if not e.declared)


def answer(observed: Observed, verdict: Verdict) -> Answers:
    """Find the answers in the recording."""
    return Answers(experiences(observed, verdict), _contained(observed), _recovered(observed), _broke_first(observed))


def _contained(observed: Observed) -> Happened | None:
    """Return when a protection took hold: the breaker of a faulted link, another refusal, a breaker elsewhere."""
    opened = [e for e in observed.events(Kind.BREAKER_CHANGED) if e.text("to_state") == "open"]
    faulted = faulted_links(observed.plan)
    if found := _first(observed, [e for e in opened if e.text("breaker") in faulted]):
        return Happened(found[0], f"breaker {found[1].text('breaker')} opened")
    for kind, text in _PROTECTIONS.items():
        if found := _first(observed, observed.events(kind)):
            fields = {name: found[1].text(name) for name in ("tenant", "service", "bulkhead")}
            return Happened(found[0], text.format(**fields))
    if found := _first(observed, opened):
        return Happened(found[0], f"breaker {found[1].text('breaker')} opened, which is not on the faulted link")
    return None


def _first(observed: Observed, events: list[Event]) -> tuple[float, Event] | None:
    """Return the first of *events* while the fault was there, with its time after the fault began."""
    if observed.fault_ns is None:
        return None
    begin_ns, end_ns = observed.fault_ns
    inside = (event for event in events if begin_ns <= event.time_ns < end_ns)
    first = next(inside, None)
    return ((first.time_ns - begin_ns) / NS_PER_S, first) if first else None


def _recovered(observed: Observed) -> Recovered | None:
    """Return when the last marked bucket after the fault ended; None if nothing was recorded after it."""
    axis, impact, fault_ns = observed.coarse, observed.impact, observed.fault_ns
    if axis is None or impact is None or fault_ns is None:
        return None
    filled = np.flatnonzero(impact.samples.sum(axis=0))
    if not len(filled) or axis.edge_ns(int(filled[-1])) < fault_ns[1]:
        return None
    marked = np.flatnonzero(impact.marked.any(axis=0))
    if not len(marked):
        return Recovered(0.0, axis.width_s)
    if marked[-1] >= filled[-1]:
        return Recovered(None, axis.width_s)
    after_s = (axis.edge_ns(int(marked[-1]) + 1) - fault_ns[1]) / NS_PER_S
    return Recovered(max(0.0, after_s), axis.width_s)


def _broke_first(observed: Observed) -> Happened | None:
    """Return the first call between two services that failed under the fault; else the first failed request."""
    if observed.fault_ns is None:
        return None
    begin_ns, end_ns = observed.fault_ns
    failed = (pc.field("status") == "error") & (pc.field("kind") == "client")
    window = Window("fault", begin_ns, end_ns)
    calls = observed.recording.arrow(Table.SPANS, ("link", "end"), window=window, where=failed)
    if len(calls):
        first = calls.take([int(np.argmin(calls["end"].to_numpy()))]).to_pylist()[0]
        return Happened((first["end"] - begin_ns) / NS_PER_S, f"a call {first['link'] or 'between services'}")
    bad = observed.requests.only(observed.requests.outcome != 0).within(window)
    if not len(bad):
        return None
    number = int(np.argmin(bad.at_ns))
    pair = bad.pairs[int(bad.pair[number])]
    return Happened((int(bad.at_ns[number]) - begin_ns) / NS_PER_S, f"{pair.tenant} {pair.flow}")
