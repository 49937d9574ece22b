"""Did the fault happen, did traffic feel it, is it gone: what every run is asked before anything else."""

from collections.abc import Iterable, Iterator

from harness.evidence.facts import Facts
from harness.model.files.fault_kinds.row import Place
from harness.model.files.fault_specs import Surge
from harness.model.files.faults import Fault
from harness.model.files.target import Protocol
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name
from harness.recording.columns import Outcome

SURGE_SHARE = 0.8
"""What a surge must at least deliver of what it was asked for."""

SOME_SURGE = 1.5
"""Below so many times the tenant's usual share there was no surge at all."""


def fault_applied(facts: Facts) -> list[Finding]:
    """Was every fault applied and read back by its injector?"""
    return [_applied(facts, number, fault) for number, fault in enumerate(facts.plan.scenario.faults)]


def _applied(facts: Facts, number: int, fault: Fault) -> Finding:
    name = fault_name(number)
    event = _last(facts, name, Kind.FAULT_APPLIED) or _last(facts, name, Kind.SURGE_DELIVERED)
    surged = _arrivals(facts, fault.surge, facts.fault_window(number)) if fault.surge else 0
    if event or surged:
        when = f"applied at {facts.offset_s(event.time_ns):.1f} s" if event else f"{surged} requests"
        return Finding("", f"{name} on {fault.place}", Status.PASS, when, "applied", 1, None)
    failed = _last(facts, name, Kind.FAULT_FAILED)
    reason = f"It could not be applied: {failed.text('cause')}." if failed else "The run has no record of it."
    subject = f"{name} on {fault.place}"
    return Finding(
        "", subject, Status.UNKNOWN, "not applied", "applied", 0, None, cause=Cause.NOT_OBSERVED, reason=reason
    )


def fault_observed(facts: Facts) -> Iterator[Finding]:
    """Did every fault reach traffic?"""
    for number, fault in enumerate(facts.plan.scenario.faults):
        window = facts.fault_window(number)
        if fault.surge:
            yield _surge_felt(facts, number, fault.surge, window)
        elif fault.declared.place is Place.REQUEST:
            yield _requests_felt(facts, fault_name(number), fault, window)
        elif fault.link is None:
            yield _place_felt(facts, fault_name(number), fault, window)
        else:
            yield _link_felt(facts, fault_name(number), fault, window)


def _link_felt(facts: Facts, name: str, fault: Fault, window: Window) -> Finding:
    event = _last(facts, name, Kind.FAULT_OBSERVED)
    link = fault.link or ""
    connections, passed = (event.number("connections"), event.number("bytes")) if event else (-1.0, -1.0)
    calls = len(facts.calls(link).under_way_in(window))
    counted = connections < 0 or connections > 0 or passed > 0  # negative: this proxy does not count
    felt = counted and calls > 0 if facts.spans else max(connections, passed) > 0
    seen = f"{calls} calls on {link}, " + (
        "connections not counted" if connections < 0 else f"{connections:.0f} connections"
    )
    reason = "" if felt else f"Nothing passed over {link} under the fault: give a flow that uses it some load."
    cause = None if felt else Cause.NOT_OBSERVED
    status = Status.PASS if felt else Status.UNKNOWN
    return Finding("", f"{name} on {link}", status, seen, "> 0", calls, window, cause=cause, reason=reason)


def _requests_felt(facts: Facts, name: str, fault: Fault, window: Window) -> Finding:
    """A fault on single requests counts them itself; there is no guessing."""
    event = _last(facts, name, Kind.FAULT_OBSERVED)
    hit = int(event.number("requests")) if event else 0
    seen = f"{hit:,} requests hit"
    if event and event.text("tenants"):
        seen += f": {event.text('tenants')}"
    return _felt(name, fault, window, seen, hit, f"No request on {fault.place} was in its scope.")


def _place_felt(facts: Facts, name: str, fault: Fault, window: Window) -> Finding:
    """A fault on a service must have touched it, and somebody must have called it; one on a flag must be read back."""
    event = _last(facts, name, Kind.FAULT_OBSERVED)
    touched = int(event.number("touched")) if event else 0
    unit = (event.text("unit") if event else "") or "things"
    links = [link for link in facts.links_of(fault) if facts.plan.target.links[link].speaks is not Protocol.TCP]
    calls = sum(len(facts.calls(link).under_way_in(window)) for link in links)
    seen = f"{touched:,} {unit} touched" + (f", {calls} calls to {fault.place}" if links else "")
    if touched and links and facts.spans and not calls:
        return _felt(
            name, fault, window, seen, 0, f"Nobody called {fault.place} meanwhile: give such a flow some load."
        )
    return _felt(name, fault, window, seen, touched, f"It touched nothing of {fault.place}.")


def _felt(name: str, fault: Fault, window: Window, seen: str, count: int, otherwise: str) -> Finding:
    subject, status = f"{name} on {fault.place}", Status.PASS if count > 0 else Status.UNKNOWN
    cause, reason = (None, "") if count > 0 else (Cause.NOT_OBSERVED, otherwise)
    return Finding("", subject, status, seen, "> 0", count, window, cause=cause, reason=reason)


def _surge_felt(facts: Facts, number: int, surge: Surge, window: Window) -> Finding:
    seconds = (window.end_ns - window.start_ns) / NS_PER_S
    asked = sum(facts.plan.scenario.load[surge.tenant].values()) * surge.times * seconds
    delivered = _arrivals(facts, surge, window)
    felt = delivered >= SURGE_SHARE * asked
    some = delivered >= SOME_SURGE * asked / surge.times  # a smaller surge than asked for: what it broke is broken
    return Finding(
        check="",
        subject=f"{fault_name(number)} on tenant {surge.tenant}",
        status=Status.PASS if felt else Status.UNKNOWN,
        value=f"{delivered:,} of {asked:,.0f} requests of {surge.tenant}",
        bound=f">= {SURGE_SHARE:.0%} of the surge",
        samples=delivered,
        window=window,
        cause=None if felt else Cause.LOAD_NOT_DELIVERED if some else Cause.NOT_OBSERVED,
        reason="" if felt else "The load generator did not deliver the surge: is the machine too busy for it?",
    )


def _arrivals(facts: Facts, surge: Surge, window: Window) -> int:
    pairs = [pair for pair in facts.loaded if pair.tenant == surge.tenant]
    rows = facts.requests.of(*pairs).within(window)
    return int((rows.first & ~rows.ended(Outcome.DROPPED)).sum())


def rollback(facts: Facts) -> Iterable[Finding]:
    """Is every fault that was applied undone, and read back? What cannot be confirmed is a failure of its own."""
    return [_undone(facts, n, fault) for n, fault in enumerate(facts.plan.scenario.faults) if _was_there(facts, n)]


def _was_there(facts: Facts, number: int) -> bool:
    touched = facts.recording.events_of(Kind.FAULT_APPLIED, Kind.FAULT_FAILED)
    return any(
        event.text("fault") == fault_name(number) and (event.kind is Kind.FAULT_APPLIED or event.text("step") == "undo")
        for event in touched
    )


def _undone(facts: Facts, number: int, fault: Fault) -> Finding:
    name = fault_name(number)
    last = _last(facts, name, Kind.FAULT_APPLIED, Kind.FAULT_UNDONE, Kind.FAULT_FAILED)
    subject = f"{name} on {fault.place}"
    if last and last.kind is Kind.FAULT_UNDONE:
        value = f"undone by the {last.text('by') or 'harness'}, read back"
        return Finding("", subject, Status.PASS, value, "undone", 1, None)
    failed = last is not None and last.kind is Kind.FAULT_FAILED
    value = f"the undo failed: {last.text('cause')}" if last and failed else "never undone"
    reason = "The fault may still be in place: run `harness recover`."
    return Finding("", subject, Status.FAIL, value, "undone", 1, None, reason=reason)


def _last(facts: Facts, fault: str, *kinds: Kind) -> Event | None:
    return next((e for e in reversed(facts.recording.events_of(*kinds)) if e.text("fault") == fault), None)
