from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, found, told
from tests.recordings import LINK

SUBJECT = f"fault-1 on {LINK}"


def test_a_fault_that_was_read_back_is_applied(new_run):
    assert told(all_is_well(new_run()).read(), "fault_applied") == [(SUBJECT, "pass", "applied at 12.0 s")]


def test_a_fault_that_was_not_applied_is_unknown(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(applied=False)
    written.event(12, Kind.FAULT_FAILED, fault="fault-1", step="apply", cause="no such proxy")
    (finding,) = found(written.read(), "fault_applied")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.reason == "It could not be applied: no such proxy."
