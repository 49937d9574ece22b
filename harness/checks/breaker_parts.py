"""What a breaker has to do, one part each: open in time, spare its callee, close for a reason, close in time."""

from collections.abc import Iterator, Sequence
from functools import reduce
from math import ceil

import numpy as np

from harness.checks.parts import Part
from harness.evidence.breaker_history import CLOSED, HALF_OPEN, OPEN, Change, History, common
from harness.evidence.calls import Calls, Words
from harness.evidence.facts import Facts
from harness.evidence.ids import key_of
from harness.evidence.trouble import in_trouble
from harness.evidence.users import demand, tenants_of
from harness.model.files.scenario import BreakerCheck, Phase
from harness.model.result.finding import Cause, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.shares import FEWEST

_PROBES_A_SECOND = 1
_SPARE_CALLS = 2
_SHORTLY_NS = NS_PER_S // 5
_MOST_OF = 0.8
_FEW_OF = 0.5
_ENOUGH_EXPECTED = 10


def was_open(history: History, fault: Window) -> Part:
    """A breaker that was open before the fault shows nothing of what it does under one."""
    reason = (
        f"{history.name} was already {history.state_at(fault.start_ns)} when the fault began: fix the target first."
    )
    return Part(Status.UNKNOWN, "open before the fault", reason, Cause.SICK_BASELINE)


def opened(spec: BreakerCheck, history: History, fault: Window, since_ns: int) -> tuple[Part, float]:
    """Judge how long it took to open; return the seconds as well."""
    change = history.opened_in(fault) or Change(fault.end_ns, OPEN)
    after_s, earliest_s = (max(0, moment - since_ns) / NS_PER_S for moment in (change.time_ns, change.earliest_ns))
    value = f"opened after {after_s:.1f} s"
    if after_s <= spec.opens_within:
        return Part(Status.PASS, value), after_s
    if earliest_s > spec.opens_within:
        return Part(
            Status.FAIL, value, f"It opened after {after_s:.1f} s, not within {spec.opens_within:g} s."
        ), after_s
    reason = f"It opened between {earliest_s:.1f} and {after_s:.1f} s: its metric is scraped too seldom to tell."
    return Part(Status.UNKNOWN, value, reason, Cause.TOO_FEW_SAMPLES), after_s


def spared(facts: Facts, link: str, acted: Sequence[History], fault: Window) -> Iterator[Part]:
    """Judge the calls that reached the link while every process of a breaker said that it was not closed."""
    apart = all(history.tenants for history in acted)
    for name in dict.fromkeys(history.name if apart else "" for history in acted):
        chains = [history for history in acted if not apart or history.name == name]
        tenants = frozenset[str]().union(*(history.tenants for history in chains)) if apart else frozenset[str]()
        several = len({history.name for history in acted}) > 1
        yield _spared(calls_of(facts, link, tenants if several else frozenset()), chains, fault)


def _spared(calls: Calls, chains: Sequence[History], fault: Window) -> Part:
    held = reduce(common, (chain.stretches(fault, OPEN, HALF_OPEN) for chain in chains))
    made = sum(len(calls.begun_in(stretch)) for stretch in held)
    seconds = sum(stretch.end_ns - stretch.start_ns for stretch in held) / NS_PER_S
    allowed = ceil(seconds * _PROBES_A_SECOND) + _SPARE_CALLS * len(held)
    if made > allowed:
        reason = f"{made} calls reached the link while it was open; probes would be {allowed} at most."
        return Part(Status.FAIL, f"{made} calls", reason)
    wide = reduce(common, (chain.stretches(fault, OPEN) for chain in chains))
    through = sum(len(calls.begun_in(stretch)) for stretch in wide)
    if through > _SPARE_CALLS * len(wide):
        return Part(Status.FAIL, f"{through} calls", f"{through} calls reached the link while it was wide open.")
    return _one_at_a_time(calls, chains, fault)


def _one_at_a_time(calls: Calls, chains: Sequence[History], fault: Window) -> Part:
    trying = [stretch for chain in chains for stretch in chain.stretches(fault, HALF_OPEN)]
    at_once = max((calls.begun_in(stretch).peak for stretch in trying), default=0)
    if at_once <= _SPARE_CALLS * len(chains):
        return Part(Status.PASS)
    return Part(Status.FAIL, f"{at_once} at once", f"{at_once} calls at once tried the callee while it was half open.")


def closed_for_a_reason(facts: Facts, link: str, history: History, fault: Window) -> Part:
    """Under the fault only a call that went well may close it; what closes by itself lets the trouble back in."""
    calls = calls_of(facts, link, history.tenants)
    for number, change in enumerate(history.changes):
        if change.state == CLOSED and fault.start_ns <= change.time_ns < fault.end_ns:
            before = [c.earliest_ns for c in history.changes[:number] if c.state == OPEN]
            later = [*(c.time_ns for c in history.changes[number + 1 :]), fault.end_ns]
            since = Window("", before[-1] if before else fault.start_ns, change.time_ns + _SHORTLY_NS)
            tried = calls.begun_in(since)
            good = int((~tried.failed & (tried.end_ns <= since.end_ns)).sum())
            hurt = in_trouble(facts, link, calls.begun_in(Window("", change.time_ns, min(later[0], fault.end_ns))))
            if not good and len(hurt):
                value = f"closed under the fault and let {len(hurt)} calls in trouble through"
                return Part(Status.FAIL, value, "It closed under the fault although no call had succeeded.")
    return Part(Status.PASS)


def kept_calling(facts: Facts, link: str, acted: Sequence[History], fault: Window) -> Part:
    """Tenants whose breaker is another one than those that opened must not go on calling a callee in trouble."""
    covered = frozenset[str]().union(*(history.tenants for history in acted))
    if not all(history.tenants for history in acted):
        return Part(Status.PASS)
    wide = reduce(common, (history.stretches(fault, OPEN) for history in acted))
    calls = in_trouble(facts, link, facts.calls(link))
    for tenant in sorted(set(whose(facts, calls).tolist()) - covered - {""}):
        theirs = calls.only(whose(facts, calls) == tenant)
        made = sum(len(theirs.begun_in(stretch)) for stretch in wide)
        if made >= FEWEST:
            return Part(
                Status.FAIL,
                f"{made} calls of {tenant}",
                f"{made} calls of {tenant} in trouble went on: no breaker stops them.",
            )
    return Part(Status.PASS)


def closed(facts: Facts, spec: BreakerCheck, history: History, fault: Window, *, alone: bool) -> tuple[Part, float]:
    """Judge how long after the fault it was closed again; return the seconds as well, infinite for never."""
    end_ns = facts.phase(Phase.RECOVERY).end_ns
    last = [change for change in history.changes if change.time_ns < end_ns][-1]
    after_s, seen_s = (last.time_ns - fault.end_ns) / NS_PER_S, (end_ns - fault.end_ns) / NS_PER_S
    earliest_s = (last.earliest_ns - fault.end_ns) / NS_PER_S
    if last.state == CLOSED:
        value = f"closed {max(0.0, after_s):.1f} s after the fault"
        if after_s <= spec.closes_within:
            return Part(Status.PASS, value), after_s
        if earliest_s > spec.closes_within:
            return Part(Status.FAIL, value, f"It closed later than {spec.closes_within:g} s."), after_s
        reason = f"It closed between {earliest_s:.1f} and {after_s:.1f} s: its metric is scraped too seldom to tell."
        return Part(Status.UNKNOWN, value, reason, Cause.TOO_FEW_SAMPLES), after_s
    value = f"not closed {seen_s:.0f} s after the fault"
    if seen_s < spec.closes_within:
        reason = f"The run ended {seen_s:.0f} s after the fault, too early to tell: make the recovery phase longer."
        return Part(Status.UNKNOWN, value, reason, Cause.TOO_FEW_SAMPLES), np.inf
    if alone and _calls_are_back(facts, spec.link, history, fault):
        reason = "By its own word it was not closed when the run ended, yet its calls were back: was a change lost?"
        return Part(Status.UNKNOWN, value, reason, Cause.SOURCES_DISAGREE), np.inf
    return Part(Status.FAIL, value, "It was not closed when the run ended."), np.inf


def _calls_are_back(facts: Facts, link: str, history: History, fault: Window) -> bool:
    """Calls stopped while it was open under the fault, and are all back at the end."""
    end_ns = facts.phase(Phase.RECOVERY).end_ns
    silent = history.stretches(fault, OPEN)
    missed, calls = sum(demand(facts, link, s)[1] for s in silent), facts.calls(link)
    made = sum(len(calls.begun_in(stretch)) for stretch in silent)
    rest = Window("", max(history.changes[-1].time_ns, fault.end_ns), end_ns)
    expected = demand(facts, link, Window("", rest.start_ns + (end_ns - rest.start_ns) // 2, end_ns))[1]
    back = len(calls.begun_in(Window("", rest.start_ns + (end_ns - rest.start_ns) // 2, end_ns)))
    return made < _FEW_OF * missed and expected >= _ENOUGH_EXPECTED and back >= _MOST_OF * expected


def calls_of(facts: Facts, link: str, tenants: frozenset[str]) -> Calls:
    """Return the calls over *link* of some tenants; all of them where no tenant is named or known."""
    calls = facts.calls(link)
    if not tenants:
        return calls
    return calls.only(np.isin(whose(facts, calls).astype(str), sorted(tenants)))


def whose(facts: Facts, calls: Calls) -> Words:
    """Return the tenant of each call: as its span names it, else as the request does whose trace it is in."""
    unnamed = calls.tenant == ""
    if not unnamed.any():
        return calls.tenant
    found: Words = np.where(unnamed, tenants_of(facts, key_of(calls.trace)), calls.tenant)
    return found
