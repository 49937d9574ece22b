from harness.checks.judge import judge
from harness.model.result.finding import How, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, found, told
from tests.recordings import FAULT_S

TRIPPED = {
    "guardrail": "guardrail 1 (errors > 20% over 3s)",
    "tenant": "globex",
    "flow": "browse",
    "measure": "errors",
    "value": "50%",
    "bound": "> 20%",
    "samples": 18,
}


def test_a_guardrail_that_tripped_fails_the_run_although_it_did_not_come_to_its_end(new_run):
    written = all_is_well(new_run())
    written.event(FAULT_S + 3, Kind.GUARDRAIL_TRIPPED, **TRIPPED)
    recording = written.read(how=How.INTERRUPTED)
    assert told(recording, "guardrail") == [("globex browse errors", "fail", "50%")]
    assert judge(recording).status is Status.FAIL


def test_one_that_did_not_trip_says_nothing(new_run):
    assert found(all_is_well(new_run()).read(), "guardrail") == []
