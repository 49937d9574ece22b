"""The breaker of a link opens under the fault, answers at once while open, spares the callee, and closes again."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np

from harness.checks.bounds import Measured, measure
from harness.evidence.breaker_history import Change, changes_of, refusals_in, times_not_closed
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.ids import hex_of, key_of
from harness.evidence.requests import Requests
from harness.model.files.scenario import BreakerCheck, Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Status, Window, worst
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Kind

_PROBES_A_SECOND = 1
_SPARE_CALLS = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the things that a breaker has to do, and whether it did."""

    status: Status
    value: str
    reason: str = ""
    cause: Cause | None = None


def breaker(facts: Facts, spec: BreakerCheck) -> Iterable[Finding]:
    """Judge the breaker that has the link's name; where it never opened, calls that went on are the evidence."""
    fault = facts.fault_on(spec.link)
    changes = changes_of(facts, spec.link)
    opened_ns = next(
        (c.time_ns for c in changes if c.state == "open" and fault.start_ns <= c.time_ns < fault.end_ns), None
    )
    answers_ms = spec.refuses_within * 1000
    bound = f"opens <= {spec.opens_within:g} s, answers <= {answers_ms:g} ms, closes <= {spec.closes_within:g} s"
    if opened_ns is None:
        return [_never_opened(facts, spec, fault, bound)]
    held = times_not_closed(changes, Window("open", opened_ns, fault.end_ns))
    parts = (
        _opened(spec, (opened_ns - fault.start_ns) / NS_PER_S),
        _refused(facts, spec, Window("open", opened_ns, fault.end_ns)),
        _spared(facts.calls(spec.link), held),
        _closed(facts, spec, changes, fault.end_ns),
    )
    refusals, calls = refusals_in(facts, spec.link, fault), len(facts.calls(spec.link).begun_in(fault))
    status = worst(part.status for part in parts)
    return [
        Finding(
            check="",
            subject=spec.link,
            status=status,
            value=f"{parts[0].value}, refused {refusals} of {refusals + calls}, {parts[3].value}",
            bound=bound,
            samples=refusals + calls,
            window=Window("fault and recovery", fault.start_ns, facts.phase(Phase.RECOVERY).end_ns),
            cause=next((p.cause for p in parts if p.status is status and p.cause), None),
            reason=" ".join(part.reason for part in parts if part.status is status and part.reason),
        )
    ]


def _never_opened(facts: Facts, spec: BreakerCheck, fault: Window, bound: str) -> Finding:
    calls = facts.calls_in(spec.link, fault)
    slowest = calls.only(np.argsort(calls.start_ns - calls.end_ns, kind="stable")[:5])
    lines = zip(slowest.trace, (slowest.end_ns - slowest.start_ns) / NS_PER_MS, strict=True)
    return Finding(
        check="",
        subject=spec.link,
        status=Status.FAIL,
        value=f"never opened; {len(calls)} calls reached the link",
        bound=bound,
        samples=len(calls),
        window=fault,
        reason="Calls kept going to a callee in trouble for the whole fault.",
        evidence=tuple(Evidence(f"a call that took {took_ms:.0f} ms", hex_of(trace)) for trace, took_ms in lines),
    )


def _opened(spec: BreakerCheck, after_s: float) -> _Part:
    late = after_s > spec.opens_within
    reason = f"It opened after {after_s:.1f} s, not within {spec.opens_within:g} s."
    return _Part(Status.FAIL if late else Status.PASS, f"opened after {after_s:.1f} s", reason if late else "")


def _refused(facts: Facts, spec: BreakerCheck, window: Window) -> _Part:
    """Half of the victims' requests must be answered at once while the breaker is open."""
    bound = Bound("<=", spec.refuses_within * 1000, "ms")
    measured: Measured = measure(_touched(facts, spec.link, window), "p50", bound, window, seed=facts.seed)
    about = f"p50 of {measured.samples} requests while it was open: {measured.value}, {bound} asked for."
    cause = Cause.TOO_FEW_SAMPLES if measured.status is Status.UNKNOWN else None
    return _Part(measured.status, measured.value, about, cause)


def _touched(facts: Facts, name: str, window: Window) -> Requests:
    """Return the requests that the breaker is about: those of the victims, else those whose call it refused."""
    if facts.victims:
        return facts.requests.of(*facts.victims).within(window)
    everything = facts.everything.within(window)
    refused = key_of(facts.traces_of(Kind.BREAKER_REFUSED, breaker=name))
    return everything.only(np.isin(everything.trace_keys, refused))


def _spared(calls: Calls, stretches: list[Window]) -> _Part:
    made = sum(len(calls.begun_in(stretch)) for stretch in stretches)
    seconds = sum(stretch.end_ns - stretch.start_ns for stretch in stretches) / NS_PER_S
    allowed = ceil(seconds * _PROBES_A_SECOND) + _SPARE_CALLS * len(stretches)
    reason = f"{made} calls reached the link while it was open; probes would be {allowed} at most."
    return _Part(Status.FAIL if made > allowed else Status.PASS, f"{made} calls", reason if made > allowed else "")


def _closed(facts: Facts, spec: BreakerCheck, changes: list[Change], fault_end_ns: int) -> _Part:
    end_ns = facts.phase(Phase.RECOVERY).end_ns
    last = [change for change in changes if change.time_ns < end_ns][-1]
    after_s, seen_s = (last.time_ns - fault_end_ns) / NS_PER_S, (end_ns - fault_end_ns) / NS_PER_S
    if last.state == "closed" and after_s <= spec.closes_within:
        return _Part(Status.PASS, f"closed {max(0.0, after_s):.1f} s after the fault")
    if last.state == "closed":
        return _Part(
            Status.FAIL, f"closed {after_s:.1f} s after the fault", f"It closed later than {spec.closes_within:g} s."
        )
    if seen_s < spec.closes_within:
        reason = f"The run ended {seen_s:.0f} s after the fault, too early to tell: make the recovery phase longer."
        return _Part(Status.UNKNOWN, f"not closed {seen_s:.0f} s after the fault", reason, Cause.TOO_FEW_SAMPLES)
    return _Part(Status.FAIL, f"not closed {seen_s:.0f} s after the fault", "It was not closed when the run ended.")
