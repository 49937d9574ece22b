"""What a breaker told about itself: its changes of state, its refusals, and when it was not closed."""

from dataclasses import dataclass
from itertools import pairwise

from harness.evidence.facts import Facts
from harness.model.result.finding import Window
from harness.model.run.events import Kind

_STATES = ("closed", "half_open", "open")  # by the value of the metric


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker came into a state: closed, half_open or open."""

    time_ns: int
    state: str


def changes_of(facts: Facts, name: str) -> list[Change]:
    """Return a breaker's changes in time order: as it told them, else as its metric shows them, second by second."""
    told = [e for e in facts.recording.events_of(Kind.BREAKER_CHANGED) if e.text("breaker") == name]
    if told:
        off = facts.clock_offsets
        return [Change(e.time_ns - off.get(e.text("service"), 0), e.text("to_state")) for e in told]
    samples = facts.metric("resilience_breaker_state", name=name)
    states = [Change(s.time_ns, _STATES[int(s.value)]) for s in samples if 0 <= s.value < len(_STATES)]
    return [now for before, now in pairwise(states) if before.state != now.state]


def refusals_in(facts: Facts, name: str, window: Window) -> int:
    """Return how many calls the breaker refused in *window*."""
    events = facts.recording.events_of(Kind.BREAKER_REFUSED)
    return sum(e.text("breaker") == name and window.start_ns <= e.time_ns < window.end_ns for e in events)


def times_not_closed(changes: list[Change], window: Window) -> list[Window]:
    """Return the stretches of *window* in which the breaker was open or probing, from its first change there on."""
    stretches, begin_ns = [], None
    for change in [c for c in changes if window.start_ns <= c.time_ns < window.end_ns]:
        if change.state != "closed":
            begin_ns = change.time_ns if begin_ns is None else begin_ns
        elif begin_ns is not None:
            stretches.append(Window("open", begin_ns, change.time_ns))
            begin_ns = None
    return stretches if begin_ns is None else [*stretches, Window("open", begin_ns, window.end_ns)]
