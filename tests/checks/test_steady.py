"""Before the fault the target must have been well, to the last second: else nothing that follows counts."""

import numpy as np
import pytest

from harness.checks.judge import judge
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import SLIGHT, all_is_well, found
from tests.recordings import Stretch, small_plan

SICK = (Status.UNKNOWN, Cause.SICK_BASELINE)
PAIRS = (("acme", "browse", 6), ("acme", "checkout", 4), ("globex", "browse", 6), ("globex", "checkout", 4))


def head(written):
    verdict = judge(written.read())
    return verdict.status, verdict.cause


def sick(written):
    return [f.subject for f in found(written.read(), "steady_before") if (f.status, f.cause) == SICK]


def from_before(written, begin_s, *, only=None, **how):
    """Trouble that begins before the fault and lasts as long as it."""
    all_is_well(written, but=[Stretch(begin_s, 22, only)])
    for tenant, flow, rate in PAIRS:
        if only in (None, tenant):
            written.requests(tenant, flow, begin_s, 22, rate=rate, **how)
    return written


@pytest.mark.parametrize("begin_s", [8, 10, 11])
@pytest.mark.parametrize("only", [None, "globex"])
def test_an_outage_that_begins_before_the_fault_is_not_blamed_on_it(new_run, begin_s, only):
    written = from_before(new_run(), begin_s, only=only, status=503, latency_ms=5)
    assert head(written) == SICK
    assert sick(written)


@pytest.mark.parametrize("begin_s", [9.9, 10.5])
def test_requests_under_way_at_the_fault_count_as_at_least_as_slow_as_they_are_old(new_run, begin_s):
    written = from_before(new_run(), begin_s, status=504, latency_ms=3000)
    assert head(written) == SICK


@pytest.mark.parametrize("latency_ms", [200, 1000])
def test_a_flow_that_became_far_slower_just_before_the_fault_is_sick(new_run, latency_ms):
    written = from_before(new_run(), 10, latency_ms=latency_ms, only="globex")
    assert "globex browse just before the fault" in sick(written)


def test_an_outage_that_begins_with_the_fault_is_its_work(new_run):
    assert sick(from_before(new_run(), 12, status=503, latency_ms=5)) == []


def test_a_fault_that_comes_late_in_its_phase_is_looked_at_from_when_it_was_asked_for(new_run):
    written = new_run(faults=[{"service": "catalog", "pause": True, "start": "4s"}], blast_radius={})
    from_before(written, 14, status=503, latency_ms=5)
    assert len(sick(written)) == 4


def test_rare_tenants_are_looked_at_together(new_run):
    load = {tenant: {"browse": 1} for tenant in ("acme", "globex", "initech")}
    written = all_is_well(new_run(load=load, blast_radius={}), but=[Stretch(10, 12)])
    for tenant in load:
        written.requests(tenant, "browse", 10, 12, rate=1, status=503)
    assert "all tenants browse just before the fault" in sick(written)


def test_a_lone_failure_in_the_last_second_is_chance(new_run):
    written = all_is_well(new_run())
    written.request("globex", "browse", 11.5, status=500)
    assert sick(written) == []


def test_a_failure_beside_an_undecided_baseline_is_not_broken(new_run):
    written = all_is_well(new_run(faults=SLIGHT), but=[Stretch(12, 22, "globex", "browse")])
    written.request("acme", "browse", 5, status=500)
    written.requests("globex", "browse", 12, 22, rate=6, status=500)
    assert head(written) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def healthy(written, seed):
    """A baseline as services have it: log-normal latencies, a rare error, a hiccup of some hundred ms now and then."""
    random = np.random.default_rng(seed)
    hiccup_s = random.uniform(0, 12)
    for tenant, flow, rate in PAIRS:
        usual_ms = 20 if flow == "browse" else 100
        for at_s in np.sort(random.uniform(0, 13, rate * 13)):
            delay_ms = max(0.0, (hiccup_s + 0.3 - at_s) * 1000) if hiccup_s <= at_s < hiccup_s + 0.3 else 0.0
            took_ms = usual_ms * random.lognormal(0, 0.4) + delay_ms
            status = 500 if random.random() < 0.002 else None
            written.request(tenant, flow, float(at_s), latency_ms=float(took_ms), status=status, chain=())
    written.event(12, Kind.FAULT_ASKED, fault="fault-1", kind="latency", place="payments -> provider-a")
    written.event(34, Kind.LOAD_ENDED, arrivals=1, sent=1, late=0, dropped=0, code=0)
    return written


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_no_healthy_baseline_is_called_sick(tmp_path, first):
    from harness.checks.steady import steady_before
    from harness.evidence.facts import Facts
    from tests.recordings import Written

    for seed in range(first, first + 50):
        written = healthy(Written(tmp_path / f"run-{seed}", small_plan()), seed)
        findings = steady_before(Facts(written.read()))
        assert [f.subject for f in findings if f.cause is Cause.SICK_BASELINE] == [], seed
