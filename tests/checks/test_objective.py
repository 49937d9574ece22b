import pytest

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Outcome
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found, told
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


@pytest.mark.parametrize(("bad", "status"), [(0, Status.PASS), (1, Status.UNKNOWN), (6, Status.FAIL)])
def test_few_requests_are_decided_where_they_can_be(new_run, bad, status):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    for number in range(8):
        written.request("globex", "browse", 13 + number / 2, latency_ms=900 if number < bad else 20)
    assert found(written.read(), "objective")[3].status is status


def test_a_pair_with_hardly_any_requests_borrows_those_of_its_neighbours(new_run):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    written.requests("globex", "browse", 12, 22, rate=0.3)
    finding = found(written.read(), "objective")[3]
    assert (finding.status, finding.samples) == (Status.PASS, 63)
    assert finding.reason.startswith("Only 3 requests of its own")


def test_it_borrows_nothing_if_one_of_its_own_is_bad(new_run):
    written = all_is_well(new_run(BROWSE), but=[GLOBEX])
    written.requests("globex", "browse", 12, 22, rate=0.3, latency_ms=900)
    finding = found(written.read(), "objective")[3]
    assert (finding.status, finding.samples) == (Status.UNKNOWN, 3)


# -- blast radius ------------------------------------------------------------------------------------------------------


def test_victims_are_judged_by_the_scenario_and_bystanders_by_the_target(new_run):
    written = all_is_well(new_run(blast_radius={"acme": {"checkout": {"p95": "< 2s"}}}), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 22, rate=4, status=504, latency_ms=1500)
    assert told(written.read(), "blast_radius") == [
        ("acme checkout p95", "pass", "1500 ms"),
        ("acme browse errors", "pass", "0%"),
        ("acme browse p95", "pass", "20 ms"),
        ("globex browse errors", "pass", "0%"),
        ("globex browse p95", "pass", "20 ms"),
        ("globex checkout errors", "pass", "0%"),
        ("globex checkout p95", "pass", "100 ms"),
    ]


def test_a_victim_hurt_more_than_allowed_fails(new_run):
    written = all_is_well(new_run(blast_radius={"acme": {"checkout": {"p95": "< 2s"}}}), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 22, rate=4, latency_ms=2500)
    assert told(written.read(), "blast_radius")[0] == ("acme checkout p95", "fail", "2500 ms")


def test_a_bystander_out_of_its_objective_fails(new_run):
    recording = hurt_globex(new_run(), latency_ms=400).read()
    failed = [f for f in found(recording, "blast_radius") if f.status is Status.FAIL]
    assert [(f.subject, f.severity) for f in failed] == [
        ("globex browse p95", Severity.CRITICAL),
        ("globex browse p95 against its baseline", Severity.WARNING),
    ]


def test_a_bystander_that_is_clearly_slower_within_its_objective_is_a_warning(new_run):
    recording = hurt_globex(new_run(), latency_ms=80).read()
    (warning,) = [f for f in found(recording, "blast_radius") if f.status is not Status.PASS]
    assert (warning.severity, warning.subject) == (Severity.WARNING, "globex browse p95 against its baseline")
    assert warning.value.startswith("80 ms, before 20 ms")


@pytest.mark.parametrize("latency_ms", [29, 39])
def test_a_little_slower_is_no_warning(new_run, latency_ms):
    recording = hurt_globex(new_run(), latency_ms=latency_ms).read()
    assert all(f.status is Status.PASS for f in found(recording, "blast_radius"))


@pytest.mark.parametrize(("slow", "status"), [(1, Status.PASS), (3, Status.UNKNOWN), (6, Status.FAIL)])
def test_a_p99_bound_of_a_victim_is_decided_with_fewer_than_a_hundred_requests(new_run, slow, status):
    scenario = {"acme": {"checkout": {"p99": "< 1900ms"}}}
    phases = {"warmup": "2s", "baseline": "10s", "fault": "20s", "recovery": "10s"}
    written = new_run(blast_radius=scenario, phases=phases)
    all_is_well(written, but=[Stretch(12, 32, "acme", "checkout")])
    for number in range(80):
        latency_ms = 2500 if number % 13 == 0 and number < slow * 13 else 1500
        written.request("acme", "checkout", 12.1 + number / 4, status=504, latency_ms=latency_ms)
    finding = found(written.read(), "blast_radius")[0]
    assert (finding.subject, finding.samples, finding.status) == ("acme checkout p99", 80, status)


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
