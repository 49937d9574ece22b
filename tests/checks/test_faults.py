import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, found, told
from tests.recordings import LINK, Stretch, at

SUBJECT = f"fault-1 on {LINK}"
SURGE = [{"surge": {"tenant": "globex", "times": 5}}]


def test_applied_felt_and_undone(new_run):
    recording = all_is_well(new_run()).read()
    assert told(recording, "fault_applied") == [(SUBJECT, "pass", "applied at 12.0 s")]
    assert told(recording, "fault_observed") == [(SUBJECT, "pass", f"40 calls on {LINK}, 76 connections")]
    assert told(recording, "rollback") == [(SUBJECT, "pass", "undone by the harness, read back")]


def test_a_fault_that_was_not_applied_is_unknown(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(applied=False)
    written.event(12, Kind.FAULT_FAILED, fault="fault-1", step="apply", cause="no such proxy")
    (finding,) = found(written.read(), "fault_applied")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.reason == "It could not be applied: no such proxy."


@pytest.mark.parametrize(
    ("count", "but"),
    [(0, []), (76, [Stretch(12, 22, "acme", "checkout")])],
    ids=["the injector counted nothing", "no call was seen"],
)
def test_a_fault_that_reached_no_traffic_was_not_felt(new_run, count, but):
    written = new_run()
    written.load_as_planned(but=but)
    written.fault_of_the_plan(felt=count)
    (finding,) = found(written.read(), "fault_observed")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)


def test_a_proxy_that_does_not_count_leaves_it_to_the_calls(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(felt=-1)
    assert told(written.read(), "fault_observed") == [(SUBJECT, "pass", f"40 calls on {LINK}, connections not counted")]


def test_a_target_without_traces_leaves_it_to_the_injector(new_run):
    written = new_run()
    written.load_as_planned(chain=())
    written.fault_of_the_plan()
    assert told(written.read(), "fault_observed") == [(SUBJECT, "pass", f"0 calls on {LINK}, 76 connections")]


def surge(written, rate, times=1):
    """Deliver a surge of globex with *times* its browsing and its checkouts."""
    all_is_well(written, but=[Stretch(12, 22, "globex")])
    for flow, share in (("browse", 6), ("checkout", 4)):
        written.requests("globex", flow, 12, 22, rate=share * times)
    return written.read()


@pytest.mark.parametrize(
    ("times", "status", "cause"),
    [
        (5, Status.PASS, None),
        (3, Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED),
        (1, Status.UNKNOWN, Cause.NOT_OBSERVED),
    ],
)
def test_a_surge_is_felt_if_it_was_delivered(new_run, times, status, cause):
    (finding,) = found(surge(new_run(faults=SURGE), rate=6, times=times), "fault_observed")
    assert (finding.status, finding.cause) == (status, cause)
    assert finding.value == f"{100 * times} of 500 requests of globex"


def test_the_reaper_may_have_undone_it(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(by="reaper")
    assert told(written.read(), "rollback") == [(SUBJECT, "pass", "undone by the reaper, read back")]


def test_a_fault_that_nobody_undid_fails(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(undone=False)
    assert told(written.read(), "rollback") == [(SUBJECT, "fail", "never undone")]


def test_an_undo_that_failed_fails_unless_a_later_one_worked(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan()
    written.event(23, Kind.FAULT_FAILED, fault="fault-1", step="undo", cause="the proxy hangs")
    assert told(written.read(), "rollback") == [(SUBJECT, "fail", "the undo failed: the proxy hangs")]
    written.event(24, Kind.FAULT_UNDONE, fault="fault-1", by="reaper")
    assert told(written.read(), "rollback") == [(SUBJECT, "pass", "undone by the reaper, read back")]


def test_what_was_never_there_needs_no_rollback(new_run):
    written = new_run()
    written.load_as_planned()
    written.fault_of_the_plan(applied=False)
    assert found(written.read(), "rollback") == []


def felt_event(written, **fields):
    for kind in (Kind.FAULT_ASKED, Kind.FAULT_APPLIED):
        written.event(12, kind, fault="fault-1", kind="x", place="y")
    written.event(21.9, Kind.FAULT_OBSERVED, fault="fault-1", **fields)
    written.event(22, Kind.FAULT_UNDONE, fault="fault-1", by="harness")


SCOPED = [{"link": LINK, "latency": "2s", "scope": {"tenant": "acme"}}]
PAUSED = [{"service": "provider-a", "pause": True}]
UNCALLED = [{"service": "gateway", "kill": True}]


@pytest.mark.parametrize(
    ("faults", "counted", "said"),
    [
        (SCOPED, {"requests": 17}, (SUBJECT, "pass", "17 requests hit")),
        (SCOPED, {"requests": 17, "tenants": "17 of acme"}, (SUBJECT, "pass", "17 requests hit: 17 of acme")),
        (SCOPED, {"requests": 0, "connections": 9}, (SUBJECT, "unknown", "0 requests hit")),
        (
            PAUSED,
            {"touched": 1, "unit": "processes"},
            ("fault-1 on provider-a", "pass", "1 processes touched, 40 calls to provider-a"),
        ),
        (
            PAUSED,
            {"touched": 0, "unit": "processes"},
            ("fault-1 on provider-a", "unknown", "0 processes touched, 40 calls to provider-a"),
        ),
        (UNCALLED, {"touched": 1, "unit": "processes"}, ("fault-1 on gateway", "pass", "1 processes touched")),
    ],
)
def test_faults_that_are_no_toxics_are_felt_by_their_own_count(new_run, faults, counted, said):
    written = new_run(faults=faults)
    written.load_as_planned()
    felt_event(written, **counted)
    assert told(written.read(), "fault_observed") == [said]


def test_a_paused_service_that_nobody_called_was_not_felt(new_run):
    written = new_run(faults=PAUSED)
    written.load_as_planned(but=[Stretch(12, 22, "acme", "checkout")])
    felt_event(written, touched=1, unit="processes")
    (finding,) = found(written.read(), "fault_observed")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.reason == "Nobody called provider-a meanwhile: give such a flow some load."


def test_a_repeated_fault_was_there_from_its_first_to_its_last_time(new_run):
    repeated = [{"service": "provider-a", "kill": True, "duration": "1s", "repeat": {"every": "3s", "times": 3}}]
    written = new_run(faults=repeated)
    written.load_as_planned()
    for at_s in (12, 15, 18):
        written.event(at_s, Kind.FAULT_APPLIED, fault="fault-1", kind="kill", place="provider-a")
        written.event(at_s + 1, Kind.FAULT_UNDONE, fault="fault-1", by="harness")
    written.event(19, Kind.FAULT_OBSERVED, fault="fault-1", touched=3, unit="processes")
    (finding,) = found(written.read(), "fault_observed")
    assert (finding.window.start_ns, finding.window.end_ns) == (at(12), at(19))
