"""The breaker of a link opens under the fault, answers at once while open, spares the callee, and closes again.

Each process and each class of tenants may have a breaker of its own: all are judged, the worst counts. Two sources
tell of each: the breaker itself (events, else metrics) and the calls over its link. Where the breaker tells nothing,
calls that stop under continuing demand do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.checks.at_once import answered_at_once
from harness.checks.breaker_parts import closed, closed_for_a_reason, kept_calling, opened, spared, was_open
from harness.checks.breaker_sources import agree
from harness.checks.parts import Part, gravest
from harness.evidence.breaker_history import CLOSED, History, histories_of, refusals_in
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.ids import hex_of
from harness.evidence.silence import inferred
from harness.evidence.trouble import in_trouble
from harness.model.files.scenario import BreakerCheck, Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Measured, Status, Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Kind
from harness.model.run.plan import fault_name
from harness.statistics.shares import FEWEST


def breaker(facts: Facts, spec: BreakerCheck) -> Iterable[Finding]:
    """Judge the breakers of the link; where none opened, calls that went on are the evidence."""
    fault = _fault(facts, spec.link)
    told = histories_of(facts, spec.link)
    if sick := [history for history in told if history.state_at(fault.start_ns) != CLOSED]:
        return [_finding(facts, spec, fault, [was_open(history, fault) for history in sick])]
    acted = [history for history in told if history.opened_in(fault)]
    silent = None if acted else inferred(facts, spec.link, fault)
    if silent is not None:
        acted = [silent]
    if not acted:
        return [_never_opened(facts, spec, fault)]
    return [_judged(facts, spec, fault, told, acted)]


def _fault(facts: Facts, link: str) -> Window:
    """Return the fault's window from when it was asked for: some faults bite before they are known to be there."""
    window = facts.fault_on(link)
    names = {fault_name(n) for n, fault in enumerate(facts.plan.scenario.faults) if link in facts.links_of(fault)}
    asked = [e.time_ns for e in facts.recording.events_of(Kind.FAULT_ASKED) if e.text("fault") in names]
    return replace(window, start_ns=min([window.start_ns, *asked]))


def _judged(
    facts: Facts, spec: BreakerCheck, fault: Window, told: Sequence[History], acted: Sequence[History]
) -> Finding:
    since_ns = facts.fault_on(spec.link).start_ns
    first = [(history, change.time_ns) for history in acted if (change := history.opened_in(fault))]
    openings = [opened(spec, history, fault, since_ns) for history in _first_of_each(acted, fault)]
    opening = max(openings, key=lambda pair: pair[1])
    alone = len({history.who for history in acted}) == 1
    endings = [closed(facts, spec, history, fault, alone=alone) for history in acted]
    closing = max(endings, key=lambda pair: pair[1])
    window = Window("open", max(moment for _, moment in first), fault.end_ns)
    refusals, calls = refusals_in(facts, spec.link, fault), len(facts.calls(spec.link).begun_in(fault))
    parts = [
        *(part for part, _ in openings),
        *answered_at_once(facts, spec, window),
        *spared(facts, spec.link, acted, fault),
        *(closed_for_a_reason(facts, spec.link, history, fault) for history in acted),
        *(part for part, _ in endings),
        kept_calling(facts, spec.link, acted, fault),
        *agree(facts, spec.link, told, acted, fault),
    ]
    value = f"{opening[0].value}, refused {refusals} of {refusals + calls}, {closing[0].value}"
    return replace(
        _finding(facts, spec, fault, parts),
        value=value + _told_by(facts, acted) + "".join(f"; {p.value}" for p in parts if p.value.startswith("sources")),
        measured=Measured.of(opening[1] * 1000, "ms"),
        samples=refusals + calls,
    )


def _first_of_each(acted: Sequence[History], fault: Window) -> list[History]:
    """Where processes are told apart by nothing but their changes, a lost one looks like a second that opened late."""
    by_time = sorted(acted, key=lambda history: change.time_ns if (change := history.opened_in(fault)) else 0)
    return list({history.who: history for history in reversed(by_time)}.values())


def _told_by(facts: Facts, acted: Sequence[History]) -> str:
    sources = {history.source for history in acted}
    several = f", the worst of {len(acted)} breakers" if len(acted) > 1 else ""
    alone = sources == {"calls"} or not facts.spans
    return several + (f" (by {' and '.join(sorted(sources))} alone)" if alone else "")


def _finding(facts: Facts, spec: BreakerCheck, fault: Window, parts: Sequence[Part]) -> Finding:
    judged = gravest(parts)
    return Finding(
        check="",
        subject=spec.link,
        status=judged.status,
        value=judged.value,
        bound=_bound(spec),
        samples=len(facts.calls(spec.link).begun_in(fault)),
        window=Window("fault and recovery", fault.start_ns, facts.phase(Phase.RECOVERY).end_ns),
        cause=judged.cause,
        reason=judged.reason,
        link=spec.link,
        measure="opens",
        limit=Bound("<=", spec.opens_within * 1000, "ms"),
    )


def _bound(spec: BreakerCheck) -> str:
    answers_ms = spec.refuses_within * 1000
    return f"opens <= {spec.opens_within:g} s, answers <= {answers_ms:g} ms, closes <= {spec.closes_within:g} s"


def _never_opened(facts: Facts, spec: BreakerCheck, fault: Window) -> Finding:
    """A breaker that never opened failed only if calls to a callee in trouble went on; else nobody can tell."""
    calls = facts.calls_in(spec.link, fault)
    troubled = in_trouble(facts, spec.link, calls)
    late = int((troubled.start_ns >= facts.fault_on(spec.link).start_ns + spec.opens_within * NS_PER_S).sum())
    judged = _without_opening(len(calls), len(troubled), late)
    slowest = calls.only(np.argsort(calls.start_ns - calls.end_ns, kind="stable")[:5])
    return replace(
        _finding(facts, spec, fault, [judged]),
        window=fault,
        evidence=_lines(slowest) if judged.status is Status.FAIL else (),
        measured=Measured(None, "ms"),
    )


def _without_opening(calls: int, troubled: int, late: int) -> Part:
    value = f"never opened; {calls} calls reached the link"
    if late >= FEWEST:
        return Part(Status.FAIL, value, "Calls kept going to a callee in trouble for the whole fault.")
    if not troubled:
        return Part(Status.NOT_EXERCISED, value, "No call failed or was slow: the breaker had no reason to open.")
    reason = f"{troubled} calls were in trouble, {late} of them when it should have been open: too few to tell."
    return Part(Status.UNKNOWN, value, f"{reason} Load it more, or make the fault longer.", Cause.TOO_FEW_SAMPLES)


def _lines(calls: Calls) -> tuple[Evidence, ...]:
    lines = zip(calls.trace, calls.took_ns / NS_PER_MS, strict=True)
    return tuple(Evidence(f"a call that took {took_ms:.0f} ms", hex_of(trace)) for trace, took_ms in lines)
