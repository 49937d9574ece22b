"""The calls that met a fault: how many were in its scope, and how many of them show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.ids import Ids, key_of
from harness.evidence.observed.effects import (
    NO_DELAY,
    Before,
    Bools,
    Delay,
    Effect,
    Ints,
    Met,
    delay_of,
    effect_of,
    given_up_early,
    grown_by,
    hides,
    shown_by,
)
from harness.evidence.observed.presence import Presence
from harness.evidence.requests import Pair
from harness.model.files.faults import HTTP_KINDS, Fault
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.recording.columns import Outcome

_SIGMAS = 3.0
_REFUSALS = {Kind.BREAKER_REFUSED: "breaker", Kind.BULKHEAD_REJECTED: "bulkhead"}


@dataclass(frozen=True, slots=True)
class Under:
    """Calls over the links of a fault while it was there."""

    begun: int  # in scope, and long enough to show it
    shown: int
    waiting: int  # under way when it came
    refused: int  # kept away by a breaker or a bulkhead of the link
    ever: int  # calls over these links in the whole run
    times: tuple[tuple[int, int], ...]  # of each repetition: calls begun, calls that show it
    traces: Ids  # of all calls that were under way in its time, and of the refusals

    def needed(self, fault: Fault, least: float) -> float:
        """Return how many calls have to show it; a share of the requests is drawn, and may come out smaller."""
        share = (fault.scope.share if fault.scope else None) or 1.0
        spread = _SIGMAS * sqrt(share * (1 - share) * self.begun)
        return max(1.0 if self.begun else 0.0, least * share * self.begun - spread)


def calls_under(facts: Facts, number: int, presences: Sequence[Presence], *, vouched: bool) -> Under:
    """Look at all calls over the links of fault *number*."""
    links = facts.links_of(facts.plan.scenario.faults[number])
    parts = [_on_link(facts, number, link, presences, vouched=vouched) for link in links]
    times = zip(*(part.times for part in parts), strict=True)
    return Under(
        sum(part.begun for part in parts),
        sum(part.shown for part in parts),
        sum(part.waiting for part in parts),
        sum(part.refused for part in parts),
        sum(part.ever for part in parts),
        tuple((sum(able for able, _ in time), sum(shown for _, shown in time)) for time in times),
        np.concatenate([np.empty(0, np.uint64), *(part.traces for part in parts)]),
    )


def _on_link(facts: Facts, number: int, link: str, presences: Sequence[Presence], *, vouched: bool) -> Under:
    fault, windows = facts.plan.scenario.faults[number], presences[number].windows
    calls = _in_scope(facts, facts.calls(link), fault)
    begun = calls.only(_begun(calls.start_ns, windows))
    waiting = calls.only(_waiting(calls, windows))
    refused = _refusals(facts, link, windows)
    judged = begun if len(begun) else waiting
    shown, able = _shown(facts, number, link, judged, presences, vouched=vouched)
    times = tuple(_tally(judged.start_ns, window, able, shown) for window in presences[number].planned)
    traces = np.concatenate([key_of(begun.trace), key_of(waiting.trace), refused])
    ever = len(facts.calls(link))
    return Under(int(able.sum()), int(shown.sum()), len(waiting), len(refused), ever, times, traces)


def _tally(begun_ns: Ints, window: Window, able: Bools, shown: Bools) -> tuple[int, int]:
    inside = _begun(begun_ns, (window,))
    return int((able & inside).sum()), int((shown & inside).sum())


def _shown(
    facts: Facts, number: int, link: str, calls: Calls, presences: Sequence[Presence], *, vouched: bool
) -> tuple[Bools, Bools]:
    """Say of each call whether it shows the fault, and whether it could have: one that outlasts it may not."""
    fault, presence = facts.plan.scenario.faults[number], presences[number]
    others = [
        (other, presences[n])
        for n, other in enumerate(facts.plan.scenario.faults)
        if n != number and _is_on(facts, other, link)
    ]
    outlasted = calls.end_ns >= _end_of(calls.start_ns, presence.windows)
    met = Met(
        (calls.end_ns - calls.start_ns) / NS_PER_S,
        calls.failed | _unanswered(facts, calls),
        outlasted,
        _hidden(calls, fault, others),
        _delays(fault, others, presence),
        grown_by(calls.start_ns, presence.begun[0] if presence.begun else 0, fault.ramp),
        vouched,
    )
    before, effect = _before(facts, link), effect_of(fault)
    shown = shown_by(effect, met, before)
    return shown, shown | ~(outlasted | given_up_early(effect, met, before))


def _is_on(facts: Facts, fault: Fault, link: str) -> bool:
    return link in facts.links_of(fault)


def _begun(moments: Ints, windows: Sequence[Window]) -> Bools:
    inside = np.zeros(len(moments), dtype=bool)
    for window in windows:
        inside |= (moments >= window.start_ns) & (moments < window.end_ns)
    return inside


def _waiting(calls: Calls, windows: Sequence[Window]) -> Bools:
    across = np.zeros(len(calls), dtype=bool)
    for window in windows:
        across |= (calls.start_ns < window.start_ns) & (calls.end_ns > window.start_ns)
    return across & ~_begun(calls.start_ns, windows)


def _end_of(moments: Ints, windows: Sequence[Window]) -> Ints:
    """Return the end of the window in which, or before which, each moment lies."""
    ends = np.array([window.end_ns for window in windows] or [0], dtype=np.int64)
    found: Ints = ends[np.minimum(np.searchsorted(ends, moments, side="right"), len(ends) - 1)]
    return found


def _in_scope(facts: Facts, calls: Calls, fault: Fault) -> Calls:
    """Leave out the calls that are known to be of another tenant than the scope's."""
    tenant = fault.scope.tenant if fault.scope else None
    if tenant is None:
        return calls
    keys = key_of(calls.trace)
    own = np.isin(keys, traces_of(facts, tenant))
    return calls.only(own if own.any() else ~np.isin(keys, facts.everything.trace_keys))


def traces_of(facts: Facts, tenant: str) -> Ids:
    """Return the traces of a tenant's requests."""
    return facts.requests.of(*(Pair(*pair) for pair in facts.requests.by_pair if pair.tenant == tenant)).trace_keys


def _unanswered(facts: Facts, calls: Calls) -> Bools:
    """Say of each call whether its request never got an answer: whoever waited may not have called that an error."""
    everything = facts.everything
    lost = everything.only(everything.ended(Outcome.UNKNOWN)).trace_keys
    found: Bools = np.isin(key_of(calls.trace), lost)
    return found


def _hidden(calls: Calls, fault: Fault, others: Sequence[tuple[Fault, Presence]]) -> Bools:
    hidden = np.zeros(len(calls), dtype=bool)
    for other, presence in others:
        if hides(other, fault):
            hidden |= _begun(calls.start_ns, presence.windows)
    return hidden


def _delays(fault: Fault, others: Sequence[tuple[Fault, Presence]], presence: Presence) -> Delay:
    """Delays on one link add up; only those that were to be there for the whole time of this one count."""
    total = delay_of(fault)
    for other, theirs in others:
        whole = all(
            any(t.start_ns <= p.start_ns and p.end_ns <= t.end_ns for t in theirs.planned) for p in presence.planned
        )
        if (
            whole
            and (other.scope is None or other.scope == fault.scope)
            and other.toxicity == 1.0
            and total != NO_DELAY
        ):
            total += delay_of(other)
    return total


def _before(facts: Facts, link: str) -> Before:
    calls = facts.calls(link)
    calls = calls.only(calls.end_ns <= facts.first_asked_ns)
    return Before.of((calls.end_ns - calls.start_ns) / NS_PER_S, calls.failed)


def _refusals(facts: Facts, link: str, windows: Sequence[Window]) -> Ids:
    """Return the traces of calls that a breaker or bulkhead of this link kept away."""
    inside = [
        event.text("trace_id")
        for event in facts.recording.events_of(*_REFUSALS)
        if event.text(_REFUSALS[event.kind]) == link
        and any(window.start_ns <= event.time_ns < window.end_ns for window in windows)
    ]
    ids = [bytes.fromhex(trace) if len(trace) == 32 else bytes(16) for trace in inside]
    return key_of(np.frombuffer(b"".join(ids), dtype=np.uint64).reshape(-1, 2))


def scope_is_known(fault: Fault) -> bool:
    """Say whether calls tell whether they are in the scope: they know their tenant, and nothing else of it."""
    scope = fault.scope
    if scope is None:
        return fault.toxicity == 1.0
    return not (scope.method or scope.route or scope.header or scope.next or scope.trace)


def must_show(fault: Fault) -> bool:
    """Say whether the calls themselves must show it."""
    return effect_of(fault) is not Effect.COUNT


def is_rule(fault: Fault) -> bool:
    """Say whether the proxy counts the requests that it touched."""
    return fault.kind in HTTP_KINDS
