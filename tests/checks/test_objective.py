import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Outcome
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

BROWSE = {"objective": {"flow": "browse", "errors": "< 0.5%", "p95": "< 250ms"}}
GLOBEX = Stretch(12, 22, "globex", "browse")


def hurt_globex(written, **how):
    all_is_well(written, but=[GLOBEX])
    written.requests("globex", "browse", 12, 22, rate=6, **how)
    return written


def test_a_flow_within_its_bounds_passes_for_every_tenant(new_run):
    assert told(all_is_well(new_run(BROWSE)).read(), "objective") == [
        ("acme browse errors", "pass", "0%"),
        ("acme browse p95", "pass", "20 ms"),
        ("globex browse errors", "pass", "0%"),
        ("globex browse p95", "pass", "20 ms"),
    ]


def test_only_the_tenant_that_is_out_of_bounds_fails(new_run):
    recording = hurt_globex(new_run(BROWSE), latency_ms=400).read()
    assert [f.subject for f in found(recording, "objective") if f.status is Status.FAIL] == ["globex browse p95"]


def test_a_failure_shows_value_bound_sample_count_window_and_worst_traces(new_run):
    finding = found(hurt_globex(new_run(BROWSE), status=500).read(), "objective")[2]
    shown = (finding.subject, finding.status, finding.value, finding.bound, finding.samples, finding.window.name)
    assert shown == ("globex browse errors", Status.FAIL, "100%", "< 0.5%", 60, "fault")
    assert (finding.tenant, finding.flow, finding.cause) == ("globex", "browse", None)
    assert finding.evidence[0].text == "status 500 after 20 ms, at 12.1 s"
    assert len(finding.evidence) == 5


def test_only_the_tenants_and_the_phase_that_were_named_are_judged(new_run):
    check = {"objective": {**BROWSE["objective"], "tenants": ["acme"], "phase": "recovery"}}
    findings = found(hurt_globex(new_run(check), status=500).read(), "objective")
    assert [(f.subject, f.status, f.window.name) for f in findings] == [
        ("acme browse errors", Status.PASS, "recovery"),
        ("acme browse p95", Status.PASS, "recovery"),
    ]


def test_one_bad_request_that_may_be_chance_decides_nothing_and_says_what_would(new_run):
    written = all_is_well(new_run(BROWSE))
    written.request("globex", "browse", 15, status=500)
    finding = found(written.read(), "objective")[2]
    assert (finding.value, finding.status, finding.cause) == ("1.64%", Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
    assert finding.reason.startswith("61 requests cannot decide it; about ")


def test_a_flow_without_requests_is_unknown(new_run):
    finding = found(all_is_well(new_run(BROWSE), but=[GLOBEX]).read(), "objective")[2]
    assert (finding.status, finding.samples, finding.value) == (Status.UNKNOWN, 0, "–")


def test_arrivals_that_were_never_sent_count_as_errors_that_took_for_ever(new_run):
    findings = found(hurt_globex(new_run(BROWSE), outcome=Outcome.DROPPED).read(), "objective")
    assert [(f.status, f.value) for f in findings[2:]] == [(Status.FAIL, "100%"), (Status.FAIL, "never")]


def test_a_timeout_has_a_latency_but_a_lost_connection_has_none(new_run):
    timeouts = hurt_globex(new_run(BROWSE), status=0, error="timeout", latency_ms=5000)
    assert found(timeouts.read(), "objective")[3].value == "5000 ms"


def test_a_lost_connection_is_an_error_without_a_latency(new_run):
    lost = hurt_globex(new_run(BROWSE), status=0, error="connection reset", latency_ms=1)
    errors, p95 = found(lost.read(), "objective")[2:]
    assert (errors.status, p95.status, p95.samples) == (Status.FAIL, Status.UNKNOWN, 0)


@pytest.mark.parametrize(("bad", "status"), [(0, Status.UNKNOWN), (1, Status.UNKNOWN), (6, Status.FAIL)])
def test_few_requests_never_pass_and_fail_where_it_is_clear(new_run, bad, status):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    for number in range(8):
        written.request("globex", "browse", 13 + number / 2, latency_ms=900 if number < bad else 20)
    assert found(written.read(), "objective")[3].status is status


def test_what_a_thin_pair_could_hide_is_said_with_how_many_would_do(new_run):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    written.requests("globex", "browse", 12, 22, rate=2)
    errors = found(written.read(), "objective")[2]
    assert (errors.status, errors.cause, errors.samples) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES, 20)
    assert errors.reason.startswith("20 requests in 10s under the fault (0 bad) would miss 10% of errors; about 29")


def test_nobody_borrows_requests_to_be_unharmed(new_run):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    written.requests("globex", "browse", 12, 22, rate=0.3)
    assert [(f.status, f.samples) for f in found(written.read(), "objective")[2:]] == [(Status.UNKNOWN, 3)] * 2


# -- blast radius ------------------------------------------------------------------------------------------------------


# -- steady state ------------------------------------------------------------------------------------------------------


def test_a_baseline_out_of_objective_is_sick_and_never_a_failure(new_run):
    written = new_run()
    written.load_as_planned(but=[Stretch(2, 12, "globex", "checkout")])
    written.fault_of_the_plan()
    written.requests("globex", "checkout", 2, 12, rate=4, latency_ms=800)
    sick = [f for f in found(written.read(), "steady_before") if f.status is not Status.PASS]
    assert [(f.subject, f.status, f.cause) for f in sick] == [
        ("globex checkout p95", Status.UNKNOWN, Cause.SICK_BASELINE)
    ]


@pytest.mark.parametrize(("under_way_at_the_fault", "status"), [(True, Status.PASS), (False, Status.UNKNOWN)])
def test_a_request_that_the_fault_caught_under_way_says_nothing_of_the_baseline(
    new_run, under_way_at_the_fault, status
):
    written = all_is_well(new_run())
    due_s = 11.2 if under_way_at_the_fault else 5.2
    for number in range(3):
        written.request("globex", "checkout", due_s + number / 10, status=504, latency_ms=1500)
    errors = [f for f in found(written.read(), "steady_before") if f.subject == "globex checkout errors"]
    assert [f.status for f in errors] == [status]


def test_a_fault_may_bite_before_it_is_known_to_be_there(new_run):
    written = new_run()
    written.event(11.4, Kind.FAULT_ASKED, fault="fault-1", kind="latency", place="payments -> provider-a")
    all_is_well(written)
    for number in range(3):
        written.request("globex", "checkout", 11.2 + number / 10, status=502, latency_ms=300)
    errors = [f for f in found(written.read(), "steady_before") if f.subject == "globex checkout errors"]
    assert [f.status for f in errors] == [Status.PASS]


def test_a_target_that_is_still_out_of_objective_at_the_end_fails(new_run):
    written = new_run()
    written.load_as_planned(but=[Stretch(29, 32, "globex", "checkout")])
    written.fault_of_the_plan()
    written.requests("globex", "checkout", 29, 32, rate=4, status=500)
    failed = [f for f in found(written.read(), "steady_after") if f.status is not Status.PASS]
    assert [(f.subject, f.status, f.value) for f in failed] == [("globex checkout errors", Status.FAIL, "92.3%")]


@pytest.mark.parametrize(("within", "status"), [("8s", Status.FAIL), ("12s", Status.UNKNOWN)])
def test_whoever_may_still_recover_when_the_run_ends_decides_nothing(new_run, within, status):
    written = new_run({"recovery": {"within": within}})
    written.load_as_planned(but=[Stretch(29, 32, "globex", "checkout")])
    written.fault_of_the_plan()
    written.requests("globex", "checkout", 29, 32, rate=4, status=500)
    (after,) = (f for f in found(written.read(), "steady_after") if f.status is not Status.PASS)
    assert (after.subject, after.status) == ("globex checkout errors", status)


def test_flows_with_hardly_any_load_even_then_borrow_from_the_other_tenants(new_run):
    written = all_is_well(new_run(load={"acme": {"browse": 0.3}, "globex": {"browse": 6}}, blast_radius={}))
    assert told(written.read(), "steady_after")[2:] == [
        ("acme browse errors", "pass", "0%"),
        ("acme browse p95", "pass", "20 ms"),
    ]


def test_flows_with_hardly_any_load_are_looked_at_for_longer(new_run):
    written = all_is_well(new_run(load={"acme": {"browse": 0.9, "checkout": 4}}))
    windows = {f.flow: f.window.end_ns - f.window.start_ns for f in found(written.read(), "steady_after")}
    assert windows["browse"] == 2 * windows["checkout"]
