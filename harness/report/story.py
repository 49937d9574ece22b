"""What happened, in order: the first of everything that matters, with how often it happened in all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name
from harness.report.answers import Answers
from harness.report.lanes import fault_text
from harness.report.observed import Observed
from harness.report.words import count_of

_MOST_MOMENTS = 40
_MOST_PAIRS = 5

_FIRST_OF: dict[Kind, Callable[[Event], str]] = {
    Kind.DEADLINE_EXCEEDED: lambda e: f"deadline exceeded at {e.text('service')}",
    Kind.RETRY_SCHEDULED: lambda e: f"{e.text('link')} retried",
    Kind.RETRY_REFUSED: lambda e: f"retry refused on {e.text('link')} ({e.text('reason')})",
    Kind.BULKHEAD_REJECTED: lambda e: f"bulkhead {e.text('bulkhead')} full",
    Kind.RATE_LIMITED: lambda e: f"rate limit refused {e.text('tenant')}",
    Kind.BREAKER_REFUSED: lambda e: f"breaker {e.text('breaker')} refused a call",
}
_EACH_OF: dict[Kind, Callable[[Event], str]] = {
    Kind.FAULT_FAILED: lambda e: f"{e.text('fault')}: {e.text('step')} failed: {e.text('cause')}",
    Kind.FAULT_UNDONE: lambda e: f"fault undone by the {e.text('by')}, read back",
    Kind.TELEMETRY_LOST: lambda e: f"telemetry lost: {e.text('count')} {e.text('what')}",
    Kind.NOTE: lambda e: e.text("text"),
}
_TONES = {
    Kind.FAULT_APPLIED: "fault",
    Kind.FAULT_FAILED: "bad",
    Kind.FAULT_UNDONE: "good",
    Kind.TELEMETRY_LOST: "unsure",
    Kind.PROCESS_EXITED: "bad",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story."""

    at_s: float
    tone: str  # fault, good, bad, unsure, or "" for what is merely told
    text: str


def story(observed: Observed, answers: Answers) -> tuple[Moment, ...]:
    """Tell the run in the order of time; empty where there is no axis."""
    extent = observed.extent
    if extent is None:
        return ()
    told = sorted(_told(observed, answers), key=lambda moment: moment[0])[:_MOST_MOMENTS]
    return tuple(Moment(extent.at_s(at_ns), tone, text) for at_ns, tone, text in told)


def _told(observed: Observed, answers: Answers) -> Iterator[tuple[int, str, str]]:
    faults = {fault_name(number): fault for number, fault in enumerate(observed.plan.scenario.faults)}
    for event in observed.events(Kind.FAULT_APPLIED):
        known = faults.get(event.text("fault"))
        yield event.time_ns, "fault", f"{fault_text(known) if known else event.text('kind')} on {event.text('place')}"
    for kind, words in _EACH_OF.items():
        yield from ((event.time_ns, _TONES.get(kind, ""), words(event)) for event in observed.events(kind))
    for event in observed.events(Kind.PROCESS_EXITED):
        if not event.fields.get("expected"):
            yield event.time_ns, "bad", f"{event.text('service')} exited with code {event.text('code') or 'unknown'}"
    yield from _firsts(observed)
    yield from _breakers(observed)
    yield from _first_unserved(observed)
    yield from _recovered(observed, answers)


def _firsts(observed: Observed) -> Iterator[tuple[int, str, str]]:
    for kind, words in _FIRST_OF.items():
        groups: dict[str, list[int]] = {}
        for event in observed.events(kind):
            groups.setdefault(words(event), []).append(event.time_ns)
        for text, times_ns in groups.items():
            yield times_ns[0], "", f"first time: {text} ({count_of(len(times_ns), 'time')} in all)"


def _breakers(observed: Observed) -> Iterator[tuple[int, str, str]]:
    """Tell when a breaker opened first and when it had closed for good, and how often it probed between."""
    groups: dict[str, list[Event]] = {}
    for event in observed.events(Kind.BREAKER_CHANGED):
        groups.setdefault(f"{event.text('breaker')}", []).append(event)
    for breaker, events in groups.items():
        opened = [event for event in events if event.text("to_state") == "open"]
        probes = sum(event.text("to_state") == "half_open" for event in events)
        if opened:
            yield opened[0].time_ns, "good", f"breaker {breaker} opened"
        if events[-1].text("to_state") == "closed":
            yield events[-1].time_ns, "good", f"breaker {breaker} closed again, after {count_of(probes, 'probe')}"
        elif opened:
            yield events[-1].time_ns, "unsure", f"breaker {breaker} {events[-1].text('to_state')}: its last change"


def _first_unserved(observed: Observed) -> Iterator[tuple[int, str, str]]:
    requests = observed.requests
    bad = requests.only(requests.outcome != 0)
    codes, counts = np.unique(bad.pair, return_counts=True)
    order = np.argsort(-counts)[:_MOST_PAIRS]
    for code, count in zip(codes[order].tolist(), counts[order].tolist(), strict=True):
        pair, begin_ns = requests.pairs[code], int(bad.at_ns[bad.pair == code].min())
        tone = "unsure" if observed.is_victim(pair) else "bad"
        yield begin_ns, tone, f"{pair.tenant} {pair.flow}: first request not served ({count:,} in all)"


def _recovered(observed: Observed, answers: Answers) -> Iterator[tuple[int, str, str]]:
    recovered = answers.recovered
    if recovered and recovered.after_s and observed.fault_ns and answers.hurt:
        at_ns = observed.fault_ns[1] + int(recovered.after_s * 1e9)
        yield at_ns, "good", "everybody back inside the limits"
