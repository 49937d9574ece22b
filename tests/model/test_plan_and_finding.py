from datetime import UTC, datetime

import pytest

from harness.model.errors import EXIT_CODE_MEANINGS, ExitCode
from harness.model.files.scenario import Phase, Scenario
from harness.model.files.schema import json_schema
from harness.model.result.finding import How, Status, Verdict, worst
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event, Kind
from harness.model.run.plan import fault_name, run_id
from tests.recordings import LINK, small_plan


def test_phases_follow_each_other_and_faults_end_with_theirs():
    faults = [
        {"link": LINK, "latency": "1s"},
        {"link": LINK, "latency": "1s", "start": "2s", "duration": "3s"},
        {"link": LINK, "latency": "1s", "start": "8s", "duration": "9s"},
    ]
    plan = small_plan(scenario={"faults": faults})
    assert [plan.offset_s(phase) for phase in Phase] == [0, 2, 12, 22]
    assert [plan.fault_window_s(number) for number in range(3)] == [(12, 22), (14, 17), (20, 22)]


def test_a_fault_that_would_begin_after_a_quick_fault_phase_is_empty():
    plan = small_plan(scenario={"faults": [{"link": LINK, "latency": "1s", "start": "9s"}]})
    quick = plan.model_copy(update={"phases": plan.phases.model_copy(update={"fault": 5.0})})
    assert quick.fault_window_s(0) == (17, 17)


def test_names_of_faults_and_runs():
    started = datetime(2026, 11, 21, 4, 5, 6, 78_000, tzinfo=UTC)
    assert fault_name(0) == "fault-1"
    assert run_id("hang", int(started.timestamp() * 1000) * 1_000_000) == "20261121-040506-078-hang"


def test_victims_are_named_by_the_blast_radius():
    assert small_plan().victims() == frozenset({("acme", "checkout")})


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], Status.UNKNOWN),
        ([Status.PASS], Status.PASS),
        ([Status.PASS, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.FAIL, Status.PASS], Status.FAIL),
    ],
)
def test_the_gravest_status_wins_and_nothing_is_not_a_pass(statuses, expected):
    assert worst(statuses) is expected


@pytest.mark.parametrize(
    ("status", "how", "confirmed", "code"),
    [
        (Status.PASS, How.COMPLETED, True, 0),
        (Status.FAIL, How.COMPLETED, True, 1),
        (Status.UNKNOWN, How.COMPLETED, True, 2),
        (Status.UNKNOWN, How.FAILED, True, 3),
        (Status.UNKNOWN, How.INTERRUPTED, True, 130),
        (Status.FAIL, How.INTERRUPTED, False, 5),
        (Status.PASS, How.COMPLETED, False, 5),
    ],
)
def test_exit_codes_are_the_documented_ones(status, how, confirmed, code):
    assert Verdict(status, None, "", (), confirmed, how).exit_code == code
    assert ExitCode(code) in EXIT_CODE_MEANINGS


def test_fields_of_an_event_that_are_not_there_are_empty():
    event = Event(1, Kind.NOTE, {"text": "x", "count": 3, "nothing": None})
    assert (event.text("text"), event.text("nothing"), event.text("missing")) == ("x", "", "")
    assert (event.number("count"), event.number("text"), event.number("missing")) == (3.0, 0.0, 0.0)


def test_two_clocks_with_one_anchor_read_the_same_time():
    first = SteadyClock()
    second = SteadyClock(first.anchor_utc_ns, first.anchor_monotonic_ns)
    before, between, after = first.now_ns(), second.now_ns(), first.now_ns()
    assert before <= between <= after


def test_the_published_schema_shows_defaults_as_one_would_write_them():
    schema = json_schema(Scenario)
    phases = schema["$defs"]["Phases"]["properties"]
    assert phases["fault"]["default"] == "20s"
    assert schema["$defs"]["Fault"]["properties"]["toxicity"]["default"] == "100%"
