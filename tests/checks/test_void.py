"""What the harness, its load or its machine spoiled is void: it is named, and neither breaks a claim nor holds one."""

import pytest

from harness.checks.judge import judge
from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import SLIGHT, all_is_well, calm_load, found, hang_uncontained
from tests.recordings import LINK, Stretch

BROWSE = {"objective": {"flow": "browse", "errors": "< 0.5%", "p95": "< 250ms"}}
BREAKER = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}
FAULT = Stretch(12, 22)
GLOBEX = Stretch(12, 22, "globex", "browse")
NOT_DELIVERED = (Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED)
PAIRS = (("acme", "browse", 6), ("acme", "checkout", 4), ("globex", "browse", 6), ("globex", "checkout", 4))


def head(written):
    verdict = judge(written.read())
    return verdict.status, verdict.cause


def void(written):
    return [f.subject for f in found(written.read(), "generator_kept_up") if f.subject.startswith("void")]


def late(written, begin_s, end_s, lag_ms, **how):
    """All is well, but for these seconds: the generator was late, and every latency holds its lag."""
    all_is_well(written, but=[Stretch(begin_s, end_s)])
    for tenant, flow, rate in PAIRS:
        usual_ms = how.get("latency_ms", 30)
        written.requests(tenant, flow, begin_s, end_s, rate=rate, lag_ms=lag_ms, latency_ms=usual_ms + lag_ms)
    return written


@pytest.mark.parametrize("lag_ms", [150, 400])
def test_a_generator_that_is_late_in_the_fault_phase_alone_decides_nothing(new_run, lag_ms):
    written = late(new_run(BROWSE, faults=SLIGHT), 12, 22, lag_ms)
    assert head(written) == NOT_DELIVERED
    assert void(written) == [f"void from 12.1 to {21.917 + lag_ms / 1000:.1f} s"]
    assert all(f.status is not Status.FAIL for f in judge(written.read()).findings if f.severity is Severity.CRITICAL)


def test_a_short_lag_is_left_out_and_the_rest_decides(new_run):
    written = late(
        new_run(BROWSE, faults=SLIGHT, phases={"warmup": "2s", "baseline": "10s", "fault": "30s", "recovery": "10s"}),
        15,
        17,
        400,
    )
    assert head(written)[0] is Status.PASS
    assert len(void(written)) == 1


def test_a_lag_that_latency_can_bear_is_no_void_time(new_run):
    assert void(late(new_run(BROWSE, faults=SLIGHT), 12, 22, 40)) == []


def busy(written, share, begin_s=12, end_s=22, foreign=None, **how):
    """A machine that is so busy for some seconds, half busy else, and globex' browse slow meanwhile."""
    calm_load(written, but=[GLOBEX], end_s=32)
    written.fault_of_the_plan()
    written.event(33, Kind.LOAD_ENDED, arrivals=1, sent=1, late=0, dropped=0, code=0)
    written.requests("globex", "browse", 12, 22, rate=6, **(how or {"latency_ms": 400}))
    for second in range(33):
        inside = begin_s < second <= end_s
        written.metric(second, "host", "host_cpu_busy_ratio", share if inside else 0.5)
        if foreign is not None:
            written.metric(second, "host", "host_cpu_foreign_ratio", foreign if inside else 0.0)
    return written


@pytest.mark.parametrize("foreign", [None, 0.4])
def test_a_machine_that_is_busy_in_the_fault_phase_never_breaks_a_claim(new_run, foreign):
    written = busy(new_run(BROWSE, faults=SLIGHT), 0.97, foreign=foreign)
    assert head(written) == NOT_DELIVERED
    assert len(void(written)) == 1


def test_nor_does_it_hold_one_unless_it_is_known_who_took_the_cores(new_run):
    assert head(busy(new_run(BROWSE, faults=SLIGHT), 0.97, latency_ms=20)) == NOT_DELIVERED


def test_what_held_beside_other_programs_held(new_run):
    assert head(busy(new_run(BROWSE, faults=SLIGHT), 0.97, foreign=0.4, latency_ms=20))[0] is Status.PASS


@pytest.mark.parametrize(("share", "foreign"), [(0.97, 0.02), (0.8, None), (0.8, 0.4)])
def test_a_target_that_takes_the_machine_for_itself_and_cores_that_are_left_excuse_nothing(new_run, share, foreign):
    written = busy(new_run(BROWSE, faults=SLIGHT), share, foreign=foreign)
    assert head(written)[0] is Status.FAIL
    assert void(written) == []


def test_a_fault_that_fills_the_machine_is_no_excuse(new_run):
    written = busy(new_run(BROWSE, faults=[{"service": "catalog", "cpu_stress": 2}], blast_radius={}), 0.99)
    assert void(written) == []


@pytest.mark.parametrize("length_s", [2, 5])
def test_a_gap_in_every_signal_decides_nothing(new_run, length_s):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT), but=[Stretch(15, 15 + length_s)])
    assert head(written) == NOT_DELIVERED
    assert len(void(written)) == 1


def test_a_gap_in_one_pair_that_chance_does_not_make_is_load_that_was_not_delivered(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT), but=[Stretch(15, 18.5, "globex", "browse")])
    undelivered = [f for f in found(written.read(), "load_delivered") if f.status is Status.UNKNOWN]
    assert [f.subject for f in undelivered] == ["globex browse"]
    assert "No arrival for 3." in undelivered[0].reason


def test_a_breaker_is_not_blamed_for_a_late_generator(new_run):
    written = hang_uncontained(new_run(BREAKER))
    for second in range(33):
        written.metric(second + 0.1, "host", "host_cpu_busy_ratio", 1.6)
    assert head(written) == NOT_DELIVERED


def test_what_is_final_is_final_in_void_time_too(new_run):
    written = late(new_run(BROWSE, faults=SLIGHT), 12, 22, 400)
    written.request("acme", "browse", 15, foreign="globex", lag_ms=400, latency_ms=500)
    assert head(written)[0] is Status.FAIL


def test_trouble_outside_void_time_breaks_the_claim(new_run):
    written = late(new_run(BROWSE, faults=SLIGHT), 24, 26, 400)
    assert head(written)[0] in (Status.PASS, Status.UNKNOWN)
    hurt = new_run(BROWSE, faults=SLIGHT)
    all_is_well(hurt, but=[GLOBEX])
    hurt.requests("globex", "browse", 12, 22, rate=6, status=500)
    assert head(hurt)[0] is Status.FAIL
