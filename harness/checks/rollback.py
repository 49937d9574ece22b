"""Is every fault that was asked for undone, and read back? What cannot be confirmed is a failure of its own."""

from collections.abc import Iterable

from harness.evidence.facts import Facts
from harness.model.files.faults import Fault
from harness.model.result.finding import Finding, How, Status
from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name

_STEPS = (Kind.FAULT_ASKED, Kind.FAULT_APPLIED, Kind.FAULT_UNDONE, Kind.FAULT_FAILED)


def rollback(facts: Facts) -> Iterable[Finding]:
    """Judge the last step of every fault that may be in place."""
    for number, fault in enumerate(facts.plan.scenario.faults):
        steps = [event for event in facts.recording.events_of(*_STEPS) if event.text("fault") == fault_name(number)]
        if _may_be_there(facts, fault, steps):
            yield _undone(fault_name(number), fault, steps)


def _may_be_there(facts: Facts, fault: Fault, steps: list[Event]) -> bool:
    """A fault that was applied needs an undo; so does one that was only asked for when the harness was killed.

    Between the two it is placed: a harness that came to its end would have said how that went.
    """
    if any(step.kind is Kind.FAULT_APPLIED or step.text("step") == "undo" for step in steps):
        return True
    if not steps or fault.surge is not None:
        return False
    if steps[-1].kind is Kind.FAULT_UNDONE:
        return True
    return _was_cut_off(facts) and not _all_undone_after(facts, steps[-1])


def _was_cut_off(facts: Facts) -> bool:
    return facts.recording.manifest.how in (None, How.INTERRUPTED)


def _all_undone_after(facts: Facts, step: Event) -> bool:
    """Say whether the reaper, or `harness recover`, undid all that was written down before it was done."""
    notes = facts.recording.events_of(Kind.NOTE)
    return any(note.fields.get("all_undone") is True and note.time_ns >= step.time_ns for note in notes)


def _undone(name: str, fault: Fault, steps: list[Event]) -> Finding:
    subject, last = f"{name} on {fault.place}", steps[-1]
    if last.kind is Kind.FAULT_UNDONE:
        value = f"undone by the {last.text('by') or 'harness'}, read back"
        return Finding("", subject, Status.PASS, value, "undone", 1, None, link=fault.link, measure=name)
    values = {
        Kind.FAULT_FAILED: f"the {last.text('step') or 'undo'} failed: {last.text('cause')}",
        Kind.FAULT_ASKED: "asked for, and never undone",
    }
    reason = "The fault may still be in place: run `harness recover`."
    value = values.get(last.kind, "never undone")
    return Finding("", subject, Status.FAIL, value, "undone", 1, None, reason=reason, link=fault.link, measure=name)
