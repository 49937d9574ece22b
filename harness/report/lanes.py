"""Lanes of states over time: when each fault was there, what state each breaker was in, which process was gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.model.base import Spec
from harness.model.files.faults import Fault
from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name
from harness.report.axis import Axis
from harness.report.observed import Observed
from harness.report.words import seconds

_MOST_BARS = 200
_MOST_LANES = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """One state for a while; `look` is fault, closed, open, half_open or exited."""

    look: str
    left: float
    width: float
    begin_s: float
    end_s: float
    text: str

    @property
    def said(self) -> str:
        """The bar in words."""
        return f"{self.text}, {seconds(max(0.0, self.begin_s))} to {seconds(max(0.0, self.end_s))}"


@dataclass(frozen=True, slots=True)
class Lane:
    """One thing that has states."""

    kind: str  # fault, breaker, process
    name: str
    bars: tuple[Bar, ...]
    note: str = ""


def lanes(observed: Observed, axis: Axis) -> tuple[Lane, ...]:
    """Return the lanes: faults, then breakers, then processes that ended unexpectedly."""
    found = [*_faults(observed, axis), *_breakers(observed, axis), *_exits(observed, axis)]
    return tuple(found[:_MOST_LANES])


def _bar(axis: Axis, look: str, begin_ns: int, end_ns: int, text: str) -> Bar:
    span = axis.span(text, begin_ns, max(begin_ns, end_ns))
    return Bar(look, span.left, span.width, span.begin_s, span.end_s, text)


def _faults(observed: Observed, axis: Axis) -> Iterator[Lane]:
    """What was done is drawn; what was only planned is a lane with a note."""
    for number, fault in enumerate(observed.plan.scenario.faults):
        text, lives = fault_text(fault), _lives(observed, fault_name(number))
        if not lives:
            yield Lane("fault", fault.place, (), f"{text}: never applied")
            continue
        bars = [_bar(axis, "fault", begin, end or axis.extent.end_ns, text) for begin, end in lives[:_MOST_BARS]]
        yield Lane("fault", fault.place, tuple(bars), "" if all(end for _, end in lives) else "never seen undone")


def _lives(observed: Observed, name: str) -> list[tuple[int, int | None]]:
    """Return when a fault was applied and when undone, once for each time that it came."""
    applied = [event.time_ns for event in observed.events(Kind.FAULT_APPLIED) if event.text("fault") == name]
    undone = [event.time_ns for event in observed.events(Kind.FAULT_UNDONE) if event.text("fault") == name]
    return [
        (begin, next((end for end in undone if begin <= end and (after is None or end < after)), None))
        for begin, after in zip_longest(applied, applied[1:])
    ]


def fault_text(fault: Fault) -> str:
    """Write a fault with its size: "latency 10s", "surge, 20 times"."""
    if fault.surge:
        return f"surge, {fault.surge.times:g} times"
    kind = fault.kind
    given = fault.request_delay if kind == "delay" else getattr(fault, kind)
    if isinstance(given, Spec):
        size = given.model_dump(mode="json", exclude_defaults=True)
    else:
        size = {} if isinstance(given, bool) else {kind: f"{given:g}"}
    if fault.scope is not None:
        parts = fault.scope.model_dump(mode="json", exclude_defaults=True)
        size |= {"for": ", ".join(f"{part} {value}" for part, value in parts.items())}
    return " ".join([kind, *(str(value) if name == kind else f"{name} {value}" for name, value in size.items())])


def _breakers(observed: Observed, axis: Axis) -> Iterator[Lane]:
    changes: dict[tuple[str, str], list[Event]] = {}
    for event in observed.events(Kind.BREAKER_CHANGED):
        changes.setdefault((event.text("service"), event.text("breaker")), []).append(event)
    for (service, breaker), events in changes.items():
        yield Lane("breaker", breaker, tuple(_states(axis, events)), f"in {service}")
    seen = {breaker for _, breaker in changes}
    yield from (_silent(observed, link) for link in _guarded_faults(observed) if link not in seen)


def _states(axis: Axis, events: Sequence[Event]) -> Iterator[Bar]:
    state, since_ns = events[0].text("from_state") or "closed", axis.start_ns
    for event in events[:_MOST_BARS]:
        yield _bar(axis, state, since_ns, event.time_ns, state.replace("_", "-"))
        state, since_ns = event.text("to_state"), event.time_ns
    yield _bar(axis, state, since_ns, axis.extent.end_ns, state.replace("_", "-"))


def _guarded_faults(observed: Observed) -> list[str]:
    """Return the faulted links that a breaker is declared to guard."""
    guarded = {link for p in observed.plan.target.protections.values() if p.kind == "breaker" for link in p.guards}
    return [link for fault in observed.plan.scenario.faults if (link := fault.link) and link in guarded]


def _silent(observed: Observed, link: str) -> Lane:
    """A breaker that was to act and did not: switched off, or never moved."""
    off = [name for name in observed.plan.without if link in observed.plan.target.protections[name].guards]
    off = [name for name in off if observed.plan.target.protections[name].kind == "breaker"]
    if off:
        return Lane("breaker", link, (), f"switched off (--without {', '.join(off)})")
    return Lane("breaker", link, (), "no change of state was reported")


def _exits(observed: Observed, axis: Axis) -> Iterator[Lane]:
    for event in observed.events(Kind.PROCESS_EXITED):
        if not event.fields.get("expected"):
            text = f"exited, code {event.text('code') or 'unknown'}"
            yield Lane(
                "process", event.text("service"), (_bar(axis, "exited", event.time_ns, axis.extent.end_ns, text),)
            )
