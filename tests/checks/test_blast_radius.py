"""Who was hurt: by promise, by default, against the own baseline, in bursts, and after the fault."""

import pytest

from harness.checks.judge import judge
from harness.model.result.finding import Cause, Status
from harness.recording.columns import Outcome
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found
from tests.recordings import Stretch

FAIL, UNKNOWN, PASS = Status.FAIL, Status.UNKNOWN, Status.PASS
NO_PROMISES = {"objectives": {}}


def verdicts(recording):
    """Return the status of each finding of the blast radius that is not a pass, by its key."""
    return {f.key: f.status for f in found(recording, "blast_radius") if f.status is not PASS}


def hurt(written, tenant, flow, begin_s, end_s, **how):
    all_is_well(written, but=[Stretch(begin_s, end_s, tenant, flow)])
    rate = written.plan.scenario.load[tenant][flow]
    written.requests(tenant, flow, begin_s, end_s, rate=rate, **how)
    return written.read()


# -- what each is promised ---------------------------------------------------------------------------------------------


def test_everybody_is_judged_on_errors_latency_and_the_own_baseline(new_run):
    recording = all_is_well(new_run()).read()
    assert [(f.key, f.status, f.bound) for f in found(recording, "blast_radius") if f.tenant == "globex"] == [
        ("blast_radius/globex/browse/errors", PASS, "< 0.5%"),
        ("blast_radius/globex/browse/p95", PASS, "< 250 ms"),
        ("blast_radius/globex/browse/slowdown", PASS, "<= 1.5x"),
        ("blast_radius/globex/browse/afterwards", PASS, "< 0.5%"),
        ("blast_radius/globex/checkout/errors", PASS, "< 1%"),
        ("blast_radius/globex/checkout/p95", PASS, "< 600 ms"),
        ("blast_radius/globex/checkout/slowdown", PASS, "<= 1.5x"),
        ("blast_radius/globex/checkout/afterwards", PASS, "< 1%"),
    ]


def test_a_finding_holds_its_numbers(new_run):
    errors, p95, slowdown, _ = (f for f in found(all_is_well(new_run()).read(), "blast_radius") if f.flow == "browse"
                                and f.tenant == "globex")  # fmt: skip
    assert (errors.measured.value, errors.measured.unit, errors.limit.limit) == (0, "%", 0.005)
    assert 0.04 < errors.measured.high < 0.07
    assert (p95.measured.value, p95.measured.unit, p95.limit.limit) == (20, "ms", 250)
    assert (slowdown.measured.value, slowdown.measured.unit, slowdown.limit.limit) == (1, "x", 1.5)


@pytest.mark.parametrize("how", [{"status": 500}, {"status": 503, "latency_ms": 2}, {"status": 0, "error": "reset"},
                                 {"outcome": Outcome.DROPPED}])  # fmt: skip
@pytest.mark.parametrize("objectives", [{}, {"browse": {"p95": "< 250ms"}}])
def test_a_flow_without_a_bound_on_errors_may_not_fail(new_run, how, objectives):
    recording = hurt(new_run(target={"objectives": objectives}), "globex", "browse", 12, 22, **how)
    assert verdicts(recording)["blast_radius/globex/browse/errors"] is FAIL


@pytest.mark.parametrize("allowed", [{}, {"errors": "<= 3%"}, {"p95": "< 2s"}, {"slowdown": "<= 9x"}])
def test_a_victim_may_be_hurt_only_as_the_scenario_states(new_run, allowed):
    recording = hurt(new_run(blast_radius={"acme": {"checkout": allowed}}), "acme", "checkout", 12, 22, status=503)
    assert verdicts(recording)["blast_radius/acme/checkout/errors"] is FAIL


@pytest.mark.parametrize(
    ("allowed", "failed"),
    [
        ({}, {"slowdown"}),
        ({"errors": "<= 5%"}, {"slowdown"}),
        ({"errors": "<= 6%"}, set()),  # its p95 may be that of a failed answer
        ({"errors": "<= 5%", "p95": "< 1s"}, set()),
        ({"p99": "< 300ms"}, {"p99"}),
        ({"slowdown": "<= 6x"}, set()),
        ({"slowdown": "<= 3x"}, {"slowdown"}),
    ],
)
def test_latency_that_a_victim_does_not_state_is_promised_unless_it_may_fail_often(new_run, allowed, failed):
    written = new_run(blast_radius={"acme": {"checkout": allowed}})
    recording = hurt(written, "acme", "checkout", 12, 22, latency_ms=500)
    assert {f.measure for f in found(recording, "blast_radius") if f.status is FAIL} == failed


def test_a_victim_hurt_more_than_allowed_fails(new_run):
    written = new_run(blast_radius={"acme": {"checkout": {"errors": "<= 100%", "p95": "< 2s"}}})
    recording = hurt(written, "acme", "checkout", 12, 22, latency_ms=2500)
    assert verdicts(recording) == {"blast_radius/acme/checkout/p95": FAIL}


@pytest.mark.parametrize(("slow", "status"), [(1, PASS), (3, UNKNOWN), (6, FAIL)])
def test_a_p99_bound_of_a_victim_is_decided_with_fewer_than_a_hundred_requests(new_run, slow, status):
    scenario = {"acme": {"checkout": {"errors": "<= 100%", "p99": "< 1900ms"}}}
    phases = {"warmup": "2s", "baseline": "10s", "fault": "20s", "recovery": "10s"}
    written = new_run(blast_radius=scenario, phases=phases)
    all_is_well(written, but=[Stretch(12, 32, "acme", "checkout")])
    for number in range(80):
        latency_ms = 2500 if number % 13 == 0 and number < slow * 13 else 1500
        written.request("acme", "checkout", 12.1 + number / 4, status=504, latency_ms=latency_ms)
    finding = found(written.read(), "blast_radius")[1]
    assert (finding.measure, finding.samples, finding.status) == ("p99", 80, status)


# -- against itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_ms", [39, 40, 80, 100, 240])
def test_a_bystander_that_is_clearly_slower_than_it_was_fails_within_its_objective(new_run, latency_ms):
    recording = hurt(new_run(), "globex", "browse", 12, 22, latency_ms=latency_ms)
    assert verdicts(recording) == {"blast_radius/globex/browse/slowdown": FAIL}


@pytest.mark.parametrize("latency_ms", [21, 25, 29])
def test_a_little_slower_is_no_harm(new_run, latency_ms):
    assert verdicts(hurt(new_run(), "globex", "browse", 12, 22, latency_ms=latency_ms)) == {}


def test_what_nobody_notices_is_no_harm(new_run):
    target = {"defaults": {"unnoticed": "30ms"}}
    assert verdicts(hurt(new_run(target=target), "globex", "browse", 12, 22, latency_ms=45)) == {}


@pytest.mark.parametrize(("times", "status"), [(1.45, PASS), (2.0, PASS), (3.0, FAIL), (5.0, FAIL)])
def test_what_all_have_in_common_is_taken_off_but_harm_to_all_is_harm(new_run, times, status):
    written = all_is_well(new_run(blast_radius={}), but=[Stretch(12, 22)])
    for tenant, flows in written.plan.scenario.load.items():
        for flow, rate in flows.items():
            usual_ms = {"browse": 20, "checkout": 100}[flow]
            written.requests(tenant, flow, 12, 22, rate=rate, latency_ms=usual_ms * times)
    slowdowns = {f.status for f in found(written.read(), "blast_radius") if f.measure == "slowdown"}
    assert slowdowns == {status}


def test_without_a_baseline_there_is_nothing_to_compare_with(new_run):
    written = all_is_well(new_run(), but=[Stretch(0, 12, "globex", "browse")])
    finding = next(f for f in found(written.read(), "blast_radius") if f.key == "blast_radius/globex/browse/slowdown")
    assert (finding.status, finding.cause) == (UNKNOWN, Cause.TOO_FEW_SAMPLES)


# -- outages and bursts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1.5, 4, 20])
@pytest.mark.parametrize("how", [{"status": 503}, {"status": 0, "error": "timeout", "latency_ms": 5000}])
def test_a_bystander_that_is_gone_for_two_seconds_fails_at_any_load(new_run, rate, how):
    load = {"acme": {"checkout": 4}, "globex": {"browse": rate}}
    assert verdicts(hurt(new_run(load=load), "globex", "browse", 15, 17, **how))[
        "blast_radius/globex/browse/errors"
    ] is FAIL  # fmt: skip


def test_an_outage_says_how_long_and_from_when(new_run):
    recording = hurt(new_run(), "globex", "browse", 15, 17, status=503)
    finding = next(f for f in found(recording, "blast_radius") if f.status is FAIL)
    assert finding.reason == (
        "No request was served for 1.8 s, from 13.1 s on: 12 in a row. The bound allows 0.05 s of 10 s."
    ).replace("13.1", "15.1")


def test_two_failures_in_a_row_may_be_chance(new_run):
    recording = hurt(new_run(), "globex", "browse", 15, 15.34, status=503)
    assert verdicts(recording) == {"blast_radius/globex/browse/errors": UNKNOWN}


@pytest.mark.parametrize("how", [{"status": 503}, {"latency_ms": 400}])
def test_half_a_second_of_harm_counts_if_the_fault_was_there_for_half_a_second(new_run, how):
    written = new_run(
        load={"acme": {"checkout": 4}, "globex": {"browse": 6}},
        faults=[{"link": "payments -> provider-a", "latency": "10s", "start": "3s", "duration": "500ms"}],
    )
    assert FAIL in verdicts(hurt(written, "globex", "browse", 15, 15.5, **how)).values()


# -- afterwards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin_s", "end_s"), [(22, 23), (22, 25), (25, 28)])
@pytest.mark.parametrize("how", [{"status": 503}, {"latency_ms": 700}])
def test_a_bystander_hurt_in_the_recovery_phase_fails_without_being_asked(new_run, begin_s, end_s, how):
    recording = hurt(new_run(), "globex", "browse", begin_s, end_s, **how)
    failed = [key for key, status in verdicts(recording).items() if status is FAIL]
    assert failed == ["blast_radius/globex/browse/afterwards"]


def test_a_bystander_slower_than_it_was_after_the_fault_fails(new_run):
    recording = hurt(new_run(), "globex", "browse", 22, 32, latency_ms=100)
    assert verdicts(recording) == {"blast_radius/globex/browse/afterwards": FAIL}


@pytest.mark.parametrize(("end_s", "recovery", "harmed"), [(25, "4s", False), (27.5, "4s", True), (30, "10s", False)])
def test_a_victim_has_its_time_to_recover_and_no_more(new_run, end_s, recovery, harmed):
    written = new_run(target={"defaults": {"recovery": recovery}})
    recording = hurt(written, "acme", "checkout", 12, end_s, status=503)
    assert ("blast_radius/acme/checkout/afterwards" in verdicts(recording)) is harmed


# -- how much a pass needs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "status"), [(0.5, UNKNOWN), (2, UNKNOWN), (2.8, UNKNOWN), (3, PASS), (4, PASS)])
def test_a_pass_needs_fifty_nine_clean_requests_since_the_fault_and_half_of_them_under_it(new_run, rate, status):
    recording = all_is_well(new_run(load={"acme": {"checkout": 4}, "globex": {"browse": rate}})).read()
    errors = next(f for f in found(recording, "blast_radius") if f.key == "blast_radius/globex/browse/errors")
    assert errors.status is status
    assert judge(recording).status in (status, UNKNOWN)


@pytest.mark.parametrize("where", ["scenario", "target", "flow"])
def test_a_larger_leak_level_needs_fewer(new_run, where):
    leak = {"flows": {"browse": {"errors": "20%"}}} if where == "flow" else {"errors": "20%"}
    parts = {"target": {"leak": leak}} if where == "target" else {"leak": leak}
    recording = all_is_well(new_run(load={"acme": {"checkout": 4}, "globex": {"browse": 2}}, **parts)).read()
    assert "blast_radius/globex/browse/errors" not in verdicts(recording)


def test_rows_that_ended_before_they_were_due_are_no_fast_answers(new_run):
    finding = next(
        f
        for f in found(hurt(new_run(), "globex", "browse", 12, 22, latency_ms=-50), "blast_radius")
        if f.key == "blast_radius/globex/browse/errors"
    )
    assert (finding.status, finding.cause) == (UNKNOWN, Cause.TELEMETRY_LOST)
    assert finding.reason == "60 of 60 requests ended before they were due or sent: compare the clocks."


def test_the_contained_hang_harms_nobody_else(new_run):
    written = all_is_well(new_run(), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 22, rate=4, status=503, latency_ms=12)
    assert verdicts(written.read()) == {}
