"""What a breaker told about itself, process by process: its changes of state, its refusals, when it was not closed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.evidence.facts import Facts, Sample
from harness.evidence.ids import Ids, key_of
from harness.model.result.finding import Window
from harness.model.run.events import Event, Kind

CLOSED, HALF_OPEN, OPEN = "closed", "half_open", "open"
STATE_METRIC = "resilience_breaker_state"
_STATES = (CLOSED, HALF_OPEN, OPEN)  # by the value of the metric
_TRACE_DIGITS = 32
_WHO = ("instance", "pid", "replica")


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker came into a state; a metric knows the moment only to lie after the sample before it."""

    time_ns: int
    state: str
    after_ns: int = 0

    @property
    def earliest_ns(self) -> int:
        """The first moment at which it can have happened."""
        return self.after_ns or self.time_ns


@dataclass(frozen=True, slots=True)
class History:
    """The changes of one breaker in one process, in time order, and who told of them: events, metrics or calls."""

    name: str
    service: str
    source: str
    changes: tuple[Change, ...]
    begins: str = CLOSED
    tenants: frozenset[str] = frozenset()
    """Whose calls it decided on, as far as its events say."""
    instance: str = ""

    @property
    def who(self) -> tuple[str, str, str]:
        """What tells it from others, by its own word."""
        return self.service, self.name, self.instance

    def state_at(self, moment_ns: int) -> str:
        """Return the state that it was in."""
        before = [change.state for change in self.changes if change.time_ns <= moment_ns]
        return before[-1] if before else self.begins

    def opened_in(self, window: Window) -> Change | None:
        """Return when it first opened in *window*."""
        return next(
            (c for c in self.changes if c.state == OPEN and window.start_ns <= c.time_ns < window.end_ns),
            None,
        )

    def stretches(self, window: Window, *states: str) -> list[Window]:
        """Return the parts of *window* after its first change in which it surely was in one of *states*."""
        edges = [*self.changes, Change(window.end_ns, "")]
        spans = ((now.time_ns, later.earliest_ns) for now, later in pairwise(edges) if now.state in states)
        clipped = ((max(begin, window.start_ns), min(end, window.end_ns)) for begin, end in spans)
        return joined(Window(OPEN, begin, end) for begin, end in clipped if begin < end)


def belongs_to(name: str, link: str) -> bool:
    """Say whether a breaker or bulkhead called *name* guards *link*: "a -> b", or "a -> b [gold]" for a class of it."""
    rest = name.removeprefix(link)
    return name.startswith(link) and not (rest[:1].isalnum() or rest[:1] in ("-", "_", "."))


def histories_of(facts: Facts, link: str) -> list[History]:
    """Return one history for each breaker of *link* in each process, from its events, else from its metric."""
    told = _from_events(facts, link)
    by_event = {(history.service, history.name) for history in told}
    shown = metric_histories(facts, link)
    extra = [h for h in shown if (h.service, h.name) not in by_event or _several(h, shown) > _several(h, told)]
    return told + extra


def _several(history: History, among: Sequence[History]) -> int:
    return sum((other.service, other.name) == (history.service, history.name) for other in among)


def _from_events(facts: Facts, link: str) -> list[History]:
    groups: dict[tuple[str, ...], list[Event]] = {}
    off = facts.clock_offsets
    for event in _once(e for e in facts.recording.events_of(Kind.BREAKER_CHANGED) if _is_of(e, link)):
        who = (event.text("service"), event.text("breaker"), *(event.text(word) for word in _WHO))
        groups.setdefault(who, []).append(event)
    return [
        History(
            name,
            service,
            "events",
            tuple(Change(event.time_ns - off.get(service, 0), event.text("to_state")) for event in chain),
            chain[0].text("from_state") or CLOSED,
            _tenants(facts, name, chain),
            " ".join(instance),
        )
        for (service, name, *instance), events in groups.items()
        for chain in _apart(events)
    ]


def _is_of(event: Event, link: str) -> bool:
    return belongs_to(event.text("breaker"), link)


def _once(events: Iterable[Event]) -> list[Event]:
    """An export that was repeated tells everything twice."""
    seen = {(e.time_ns, *sorted((key, str(value)) for key, value in e.fields.items())): e for e in events}
    return list(seen.values())


def _apart(events: Sequence[Event]) -> list[list[Event]]:
    """Several processes may speak under one name: a change from closed while none is closed comes from another one."""
    chains: list[list[Event]] = []
    for event in events:
        before = event.text("from_state")
        chain = next((c for c in chains if before in ("", c[-1].text("to_state"))), None)
        if chain is None and before != CLOSED and chains:
            chain = chains[-1]  # the change between was lost
        if chain is None:
            chains.append([event])
        else:
            chain.append(event)
    return chains


def _tenants(facts: Facts, name: str, chain: Iterable[Event]) -> frozenset[str]:
    refused = (e for e in facts.recording.events_of(Kind.BREAKER_REFUSED) if e.text("breaker") == name)
    return frozenset(e.text("tenant") for e in (*chain, *refused)) - {""}


def metric_histories(facts: Facts, link: str) -> list[History]:
    """Return one history for each series of the breaker's state."""
    series: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in facts.metric(STATE_METRIC):
        name = sample.labels.get("name", "")
        if belongs_to(name, link) and 0 <= sample.value < len(_STATES):
            key = (sample.service, name, json.dumps(sample.labels, sort_keys=True))
            series.setdefault(key, []).append(sample)
    return [_from_samples(name, service, labels, samples) for (service, name, labels), samples in series.items()]


def _from_samples(name: str, service: str, labels: str, samples: Sequence[Sample]) -> History:
    states = [Change(s.time_ns, _STATES[int(s.value)]) for s in samples]
    changes = (
        Change(now.time_ns, now.state, before.time_ns + 1)
        for before, now in pairwise(states)
        if before.state != now.state
    )
    return History(name, service, "metrics", tuple(changes), states[0].state, instance=labels)


def refusals_in(facts: Facts, link: str, window: Window) -> int:
    """Return how many calls the breakers of *link* refused in *window*."""
    events = facts.recording.events_of(Kind.BREAKER_REFUSED)
    return sum(_is_of(e, link) and window.start_ns <= e.time_ns < window.end_ns for e in events)


def refused_traces(facts: Facts, link: str) -> Ids:
    """Return the traces, one word each, of which a breaker of *link* refused a call."""
    events = (e for e in facts.recording.events_of(Kind.BREAKER_REFUSED) if _is_of(e, link))
    ids = [bytes.fromhex(event.text("trace_id")) for event in events if len(event.text("trace_id")) == _TRACE_DIGITS]
    return key_of(np.frombuffer(b"".join(ids), dtype=np.uint64).reshape(-1, 2))


def joined(windows: Iterable[Window]) -> list[Window]:
    """Return the same time as windows that neither meet nor overlap."""
    whole: list[Window] = []
    for window in sorted(windows, key=lambda w: w.start_ns):
        if whole and window.start_ns <= whole[-1].end_ns:
            whole[-1] = Window(OPEN, whole[-1].start_ns, max(whole[-1].end_ns, window.end_ns))
        else:
            whole.append(window)
    return whole


def common(some: Sequence[Window], others: Sequence[Window]) -> list[Window]:
    """Return the time that lies in both."""
    pairs = ((max(a.start_ns, b.start_ns), min(a.end_ns, b.end_ns)) for a in some for b in others)
    return joined(Window(OPEN, begin, end) for begin, end in pairs if begin < end)
