import pytest

from harness.checks.judge import judge
from harness.model.errors import ExitCode
from harness.model.result.finding import How
from harness.model.run.events import Kind
from tests.checks.stories import found, told
from tests.recordings import LINK

SUBJECT = f"fault-1 on {LINK}"
ABOUT = {"fault": "fault-1"}
ASKED, APPLIED = (12.0, Kind.FAULT_ASKED, ABOUT), (12.1, Kind.FAULT_APPLIED, ABOUT)
APPLY_FAILED = (12.2, Kind.FAULT_FAILED, {**ABOUT, "step": "apply", "cause": "no such proxy"})
UNDO_FAILED = (22.0, Kind.FAULT_FAILED, {**ABOUT, "step": "undo", "cause": "the proxy hangs"})
UNDONE_BY = {by: (23.0, Kind.FAULT_UNDONE, {**ABOUT, "by": by}) for by in ("harness", "reaper", "abort", "recover")}
ALL_UNDONE = (24.0, Kind.NOTE, {"text": "all that was written down is undone", "all_undone": True})
DIED = (13.0, Kind.NOTE, {"text": "the harness died: the reaper undoes what it left"})
MAY_BE_THERE = ["fail"]
NEEDS_NONE: list[str] = []


@pytest.mark.parametrize(
    ("steps", "how", "statuses"),
    [
        *(([ASKED, APPLIED, undone], How.COMPLETED, ["pass"]) for undone in UNDONE_BY.values()),
        *(([ASKED, undone], None, ["pass"]) for undone in UNDONE_BY.values()),
        ([ASKED, APPLIED], How.COMPLETED, MAY_BE_THERE),
        ([ASKED, APPLIED], None, MAY_BE_THERE),
        ([ASKED, APPLIED, ALL_UNDONE], None, MAY_BE_THERE),
        ([ASKED], None, MAY_BE_THERE),
        ([ASKED], How.INTERRUPTED, MAY_BE_THERE),
        ([ASKED, DIED], None, MAY_BE_THERE),
        ([ASKED, DIED, ALL_UNDONE], None, NEEDS_NONE),
        ([ASKED, APPLY_FAILED], None, MAY_BE_THERE),
        ([ASKED, APPLY_FAILED], How.FAILED, NEEDS_NONE),
        ([ASKED, APPLY_FAILED, UNDONE_BY["harness"]], How.FAILED, ["pass"]),
        ([ASKED, APPLY_FAILED, UNDO_FAILED], How.FAILED, MAY_BE_THERE),
        ([ASKED, APPLIED, UNDO_FAILED], How.COMPLETED, MAY_BE_THERE),
        ([ASKED, APPLIED, UNDO_FAILED, UNDONE_BY["reaper"]], How.COMPLETED, ["pass"]),
        ([ASKED], How.COMPLETED, NEEDS_NONE),
        ([], None, NEEDS_NONE),
    ],
)
def test_the_last_step_of_a_fault_decides(new_run, steps, how, statuses):
    written = new_run()
    written.load_as_planned()
    for at_s, kind, fields in steps:
        written.event(at_s, kind, **fields)
    recording = written.read(how=how)
    assert [finding.status.value for finding in found(recording, "rollback")] == statuses
    assert (judge(recording).exit_code is ExitCode.NOT_ROLLED_BACK) == (statuses == MAY_BE_THERE)


def test_a_repetition_that_was_asked_for_after_the_last_undo_may_be_there(new_run):
    again = [{"link": LINK, "latency": "1s", "duration": "1s", "repeat": {"every": "2s", "times": 3}}]
    written = new_run(faults=again)
    written.load_as_planned(end_s=15)
    for at_s, kind in (
        (12, Kind.FAULT_ASKED),
        (12, Kind.FAULT_APPLIED),
        (13, Kind.FAULT_UNDONE),
        (14, Kind.FAULT_ASKED),
    ):
        written.event(at_s, kind, **ABOUT)
    assert told(written.read(how=None), "rollback") == [(SUBJECT, "fail", "asked for, and never undone")]


def test_a_surge_that_was_only_asked_for_dies_with_its_load(new_run):
    written = new_run(faults=[{"surge": {"tenant": "globex", "times": 5}}])
    written.load_as_planned(end_s=13)
    written.event(12, Kind.FAULT_ASKED, **ABOUT)
    assert found(written.read(how=None), "rollback") == []


def test_the_words_say_who_undid_it(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(by="reaper")
    assert told(written.read(), "rollback") == [(SUBJECT, "pass", "undone by the reaper, read back")]
