"""Bystanders between windows with and without the fault: leaked, contained, open, and what was not to be judged."""

import pytest

from harness.checks.judge import judge
from harness.model.result.finding import Cause, Status
from harness.model.run.calibration import Calibration, Figures
from harness.model.run.events import Kind
from tests.checks.stories import found
from tests.recordings import Stretch, Written, small_plan

PHASES = {"warmup": "2s", "baseline": "10s", "fault": "64s", "recovery": "10s"}
DESIGN = {"interleaved": {"pairs": 8, "window": "4s", "settle": "1s"}}
GLOBEX = {"unharmed": {"tenants": ["globex"], "flows": ["checkout"]}}


def begin(tmp_path, check=GLOBEX, *, design=DESIGN, rate=8, calibration=None, **scenario):
    load = {tenant: {"browse": 6, "checkout": rate} for tenant in ("acme", "globex", "initech")}
    parts = {"phases": PHASES, "design": design, "load": load, "checks": [check], **scenario}
    return Written(tmp_path / "run", small_plan(scenario=parts, calibration=calibration))


def windows(written):
    return written.plan.window_pairs_s()


def load(written, *, under=None, tenant="globex", rate=8, only=None):
    """Write the whole load; in the fault windows (those of *only*) the tenant's checkouts are as in *under*."""
    hit = [pair.fault for number, pair in enumerate(windows(written)) if only is None or number in only]
    written.load_as_planned(but=[Stretch(*edges, tenant, "checkout") for edges in hit])
    for edges in hit:
        written.requests(tenant, "checkout", *edges, rate=rate, **(under or {}))
    written.fault_of_the_plan()


def judged(written):
    return {f.measure: f for f in found(written.read(), "unharmed")}


def statuses(written):
    return {measure: (f.status, f.cause) for measure, f in judged(written).items()}


PASS, FAIL = (Status.PASS, None), (Status.FAIL, None)
FEW = (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_a_bystander_that_is_as_it_was_is_unharmed(tmp_path):
    written = begin(tmp_path)
    load(written)
    assert statuses(written) == {"p50": PASS, "p95": PASS, "errors": PASS}


def test_a_bystander_half_as_slow_again_leaks_with_interval_and_pairs(tmp_path):
    written = begin(tmp_path)
    load(written, under={"latency_ms": 150})
    seen = judged(written)
    assert (seen["p50"].status, seen["p95"].status, seen["errors"].status) == (Status.FAIL, Status.FAIL, Status.PASS)
    assert seen["p95"].value == "1.5x (1.5x to 1.5x, 8 pairs)"
    assert (seen["p95"].measured.value, seen["p95"].limit.limit) == (pytest.approx(1.5), pytest.approx(1.2))


def test_refused_answers_that_come_fast_leak_by_their_errors(tmp_path):
    written = begin(tmp_path)
    load(written, under={"status": 503, "latency_ms": 100})
    assert statuses(written) == {"p50": PASS, "p95": PASS, "errors": FAIL}


def test_harm_in_one_window_of_eight_is_not_called_unharmed(tmp_path):
    written = begin(tmp_path)
    load(written, under={"latency_ms": 900}, only=[3])
    seen = judged(written)
    assert (seen["p95"].status, seen["p95"].cause) == FEW
    assert "hardly any number of pairs would decide it" in seen["p95"].reason


def test_an_open_answer_says_how_many_more_pairs_would_decide(tmp_path):
    written = begin(tmp_path)
    load(written, under={"latency_ms": 200}, only=[0])
    seen = judged(written)
    assert (seen["p50"].status, seen["p50"].cause) == FEW
    assert "more pairs would decide it at this scatter" in seen["p50"].reason


def test_requests_that_were_never_sent_are_not_called_unharmed(tmp_path):
    written = begin(tmp_path)
    hit = [pair.fault for pair in windows(written)]
    written.load_as_planned(but=[Stretch(*edges, "globex", "checkout") for edges in hit])
    written.fault_of_the_plan()
    assert all(status is Status.UNKNOWN for status, _ in statuses(written).values())


def test_what_a_person_would_not_notice_is_no_harm(tmp_path):
    written = begin(tmp_path, {"unharmed": {"tenants": ["globex"]}})
    written.load_as_planned(but=[Stretch(*p.fault, "globex", "browse") for p in windows(written)])
    for pair in windows(written):
        written.requests("globex", "browse", *pair.fault, rate=6, latency_ms=28)  # 20 ms before; 10 ms go unnoticed
    written.fault_of_the_plan()
    assert {f.status for f in found(written.read(), "unharmed")} == {Status.PASS}


def test_so_few_requests_that_errors_could_hide_are_too_few(tmp_path):
    written = begin(tmp_path, rate=1.75)
    load(written, rate=1.75)
    seen = judged(written)
    assert (seen["errors"].status, seen["errors"].cause) == FEW
    assert "Load it more" in seen["errors"].reason


def test_a_fault_that_was_there_all_the_time_leaves_no_pairs(tmp_path):
    written = begin(tmp_path)
    load(written)
    for pair in windows(written):
        written.event(pair.control[0], Kind.FAULT_APPLIED, fault="fault-1")
        written.event(pair.control[1], Kind.FAULT_UNDONE, fault="fault-1")
    assert statuses(written) == dict.fromkeys(("p50", "p95", "errors"), (Status.UNKNOWN, Cause.NOT_OBSERVED))


def test_a_run_of_one_fault_window_says_what_to_do(tmp_path):
    written = begin(tmp_path, design="single")
    written.load_as_planned()
    written.fault_of_the_plan()
    (finding,) = found(written.read(), "unharmed")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOTHING_JUDGED)
    assert "interleaved" in finding.reason


def test_without_bystanders_nothing_is_exercised(tmp_path):
    written = begin(tmp_path, {"unharmed": {"tenants": ["acme"], "flows": ["checkout"]}})
    load(written)
    (finding,) = found(written.read(), "unharmed")
    assert finding.status is Status.NOT_EXERCISED


# -- calibration and reference -----------------------------------------------------------------------------------------


def calibrated(weight):
    figures = {f"globex/checkout/{m}": Figures(scatter=0.1, weight=weight, pairs=50) for m in ("p50", "p95")}
    return Calibration(
        machine="this", target="small-shop", window_s=4, pairs=8, figures=figures, runs=400, false_alarms=0.0125
    )


WITH_REFERENCE = {"unharmed": {"tenants": ["globex"], "flows": ["checkout"], "reference": "initech"}}


def test_the_calibrated_rate_of_false_alarms_is_told(tmp_path):
    written = begin(tmp_path, calibration=calibrated(0.0))
    load(written)
    assert "1.2% of 400 runs without a fault alarmed" in judged(written)["p95"].reason


def slowed_everybody(written, factors):
    """Slow globex and initech together, window by window."""
    edges = [edge for pair in windows(written) for edge in (pair.control, pair.fault)]
    both = [("globex", "checkout", 100.0), ("initech", "checkout", 100.0), ("initech", "browse", 20.0)]
    written.load_as_planned(but=[Stretch(*edge, t, flow) for edge in edges for t, flow, _ in both])
    for edge, factor in zip(edges, factors, strict=True):
        for tenant, flow, usual_ms in both:
            rate = written.plan.scenario.load[tenant][flow]
            written.requests(tenant, flow, *edge, rate=rate, latency_ms=usual_ms * factor)
    written.fault_of_the_plan()


def test_what_the_reference_shares_is_taken_off_by_the_calibrated_weight(tmp_path):
    noisy = [1.0, 1.6, 1.6, 1.0, 1.0, 1.6, 1.6, 1.0] * 2
    alone, beside = (begin(tmp_path / str(w), WITH_REFERENCE, calibration=calibrated(w)) for w in (0.0, 1.0))
    for written in (alone, beside):
        slowed_everybody(written, noisy)
    assert [judged(w)["p50"].status for w in (alone, beside)] == [Status.UNKNOWN, Status.PASS]


def test_harm_to_the_reference_too_is_not_taken_off(tmp_path):
    written = begin(tmp_path, WITH_REFERENCE, calibration=calibrated(1.0))
    slowed_everybody(written, _with_fault(written, 2.0))
    assert judged(written)["p50"].status is Status.FAIL


def _with_fault(written, factor):
    return [f for _ in windows(written) for f in (1.0, factor)]


def test_a_run_without_a_fault_on_purpose_never_holds(tmp_path):
    plan = begin(tmp_path / "planned").plan.model_copy(update={"aa": True})
    written = Written(tmp_path / "calm", plan)
    written.load_as_planned()
    assert judge(written.read()).status is not Status.PASS
