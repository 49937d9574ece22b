"""The account of one fault: planned and real windows, what whoever made it counted, the calls and requests it met."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.evidence.facts import Facts
from harness.evidence.observed.effects import delay_of, effect_of, happens_at_once
from harness.evidence.observed.presence import HISTORY, Presence, presence_of
from harness.evidence.observed.reach import Reach, anybody_changed, belong_to_requests, reach_of
from harness.evidence.observed.under import Under, calls_under, is_rule
from harness.model.files.faults import Fault
from harness.model.files.target import Protocol
from harness.model.result.finding import How, Window
from harness.model.run.events import Event, Kind, Value
from harness.model.run.plan import fault_name

LEAST_OF_WINDOW = 0.9
"""A fault must have been there for so much of each of its windows."""

LEAST_OF_CALLS = 0.9
"""So many of the calls in its scope must show it."""


@dataclass(frozen=True, slots=True)
class Count:
    """What whoever made the fault counted; -1 is not counted."""

    connections: int = -1
    bytes: int = -1
    requests: int = -1
    touched: int = -1
    unit: str = "things"
    tenants: str = ""

    @classmethod
    def of(cls, event: Event | None) -> "Count":
        """Read the last word of the injector; without any nothing was counted."""
        if event is None:
            return cls()
        return cls(
            _number(event, "connections"),
            _number(event, "bytes"),
            _number(event, "requests"),
            _number(event, "touched"),
            event.text("unit") or "things",
            event.text("tenants"),
        )

    @property
    def traffic(self) -> int:
        """Connections or bytes that passed, whichever is known."""
        return max(self.connections, self.bytes)


def _number(event: Event, name: str) -> int:
    return int(event.number(name)) if event.fields.get(name) is not None else -1


class Account:
    """Everything that is known of fault *number* of a run, each part looked up when it is asked for."""

    def __init__(self, facts: Facts, number: int) -> None:
        self.facts = facts
        self.number = number
        self.name = fault_name(number)
        self.fault: Fault = facts.plan.scenario.faults[number]
        self.at_once = happens_at_once(self.fault)

    @cached_property
    def presence(self) -> Presence:
        """When it was planned and when it was there."""
        return presence_in(self.facts, self.number)

    @cached_property
    def count(self) -> Count:
        """What the injector counted; a process of the service that ended is a kill that happened."""
        told = [e for e in self.facts.recording.events_of(Kind.FAULT_OBSERVED) if e.text("fault") == self.name]
        count = Count.of(told[-1] if told else None)
        if self.at_once and not told and (deaths := self._deaths()):
            return Count(touched=deaths, unit="processes")
        return count

    def _deaths(self) -> int:
        exits = (
            e for e in self.facts.recording.events_of(Kind.PROCESS_EXITED) if e.text("service") == self.fault.service
        )
        windows = self.presence.windows
        return sum(any(w.start_ns <= e.time_ns < w.end_ns for w in windows) for e in exits)

    @cached_property
    def under(self) -> Under:
        """The calls over its links."""
        presences = [presence_in(self.facts, n) for n in range(len(self.facts.plan.scenario.faults))]
        return calls_under(self.facts, self.number, presences, vouched=self._is_vouched)

    @property
    def _is_vouched(self) -> bool:
        """It was read back, and never found changed."""
        told = [e for e in self.facts.recording.events_of(Kind.FAULT_READ_BACK) if e.text("fault") == self.name]
        return bool(told) and all(event.fields.get("intact") is True for event in told)

    @cached_property
    def has_spans(self) -> bool:
        """Say whether calls over its links can be seen: links without HTTP need not have spans."""
        if not self.facts.spans or not self.links:
            return False
        speaks = {self.facts.plan.target.links[link].speaks for link in self.links}
        return speaks != {Protocol.TCP} or self.under.ever > 0

    @cached_property
    def links(self) -> Sequence[str]:
        """The links on which it shows."""
        return self.facts.links_of(self.fault)

    @cached_property
    def reach(self) -> tuple[Reach, ...]:
        """Whose requests met it; nothing where calls do not tell."""
        if not self.has_spans or not belong_to_requests(self.facts, self.under.traces):
            return ()
        return reach_of(self.facts, self.presence.windows, self.under.traces)

    @property
    def reaches_victims(self) -> bool | None:
        """Say whether any victim's request met it; None where that cannot be told."""
        victims = {pair.tenant for pair in self.facts.victims}
        if not victims:
            return None
        if self.reach:
            return any(reach.met for reach in self.reach)
        if is_rule(self.fault) and self.count.tenants and self.count.requests > 0:
            return any(f" of {tenant}," in f"{self.count.tenants}," for tenant in victims)
        return None

    @cached_property
    def changed_requests(self) -> bool:
        """Say whether requests changed while it was there, for those whom it may hurt."""
        windows = self.presence.windows
        return anybody_changed(self.facts, windows, effect_of(self.fault), delay_of(self.fault))


def presence_in(facts: Facts, number: int) -> Presence:
    """Return when fault *number* was planned and when it was there."""
    name = fault_name(number)
    history = [event for event in facts.recording.events_of(*HISTORY) if event.text("fault") == name]
    planned = facts.planned_windows(number)
    until_ns = max(facts.seen_until_ns, planned[-1].end_ns)
    if facts.recording.manifest.how is not How.COMPLETED:
        until_ns = facts.seen_until_ns
        planned = _seen_of(planned, until_ns)
    if not any(event.kind is Kind.FAULT_READ_BACK for event in history):
        history = _with_old_note(facts, name, history)
    return presence_of(planned, history, until_ns=until_ns)


def _seen_of(planned: tuple[Window, ...], until_ns: int) -> tuple[Window, ...]:
    """Cut the planned windows off where the run was."""
    seen = tuple(Window(w.name, w.start_ns, min(w.end_ns, until_ns)) for w in planned if w.start_ns < until_ns)
    return seen or planned[:1]


def _with_old_note(facts: Facts, name: str, history: list[Event]) -> list[Event]:
    """Take in the sentence by which recordings without read-backs say that somebody lifted a fault, at some time."""
    start = f"{name} was lifted before its time, by the somebody"
    notes = [event for event in facts.recording.events_of(Kind.NOTE) if event.text("text").startswith(start)]
    fields: dict[str, Value] = {"intact": False, "lifted_by": "somebody", "found": "gone"}
    gone = [Event(event.time_ns, Kind.FAULT_READ_BACK, fields) for event in notes]
    return sorted([*gone, *history], key=lambda event: event.time_ns)
