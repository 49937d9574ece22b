"""Was every fault applied, and read back by its injector?"""

from harness.checks.surge import arrivals
from harness.evidence.facts import Facts
from harness.model.files.faults import Fault
from harness.model.result.finding import Cause, Finding, Status
from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name


def fault_applied(facts: Facts) -> list[Finding]:
    """Judge every fault of the plan."""
    return [_applied(facts, number, fault) for number, fault in enumerate(facts.plan.scenario.faults)]


def _applied(facts: Facts, number: int, fault: Fault) -> Finding:
    name = fault_name(number)
    event = _last(facts, name, Kind.FAULT_APPLIED) or _last(facts, name, Kind.SURGE_DELIVERED)
    surged = arrivals(facts, fault.surge, facts.fault_window(number)) if fault.surge else 0
    if event or surged:
        when = f"applied at {facts.offset_s(event.time_ns):.1f} s" if event else f"{surged} requests"
        return Finding("", f"{name} on {fault.place}", Status.PASS, when, "applied", 1, None)
    failed = _last(facts, name, Kind.FAULT_FAILED)
    reason = f"It could not be applied: {failed.text('cause')}." if failed else "The run has no record of it."
    subject = f"{name} on {fault.place}"
    return Finding(
        "", subject, Status.UNKNOWN, "not applied", "applied", 0, None, cause=Cause.NOT_OBSERVED, reason=reason
    )


def _last(facts: Facts, fault: str, *kinds: Kind) -> Event | None:
    return next((e for e in reversed(facts.recording.events_of(*kinds)) if e.text("fault") == fault), None)
