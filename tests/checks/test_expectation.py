"""What a run will be able to decide is known before it starts."""

import pytest

from harness.checks.expectation import expected_power, in_words
from harness.runner.library import all_scenarios
from harness.runner.planning import make_plan
from tests.recordings import small_plan

SHIPPED = [path.stem for path in all_scenarios()]
MOST_REQUESTS_A_SECOND = 68


def plan_of(name, *, quick=False):
    return make_plan(name, target=None, seed=1, quick=quick, without=[])


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_has_enough_requests_for_every_bound(name, quick):
    assert [e for e in expected_power(plan_of(name, quick=quick)) if not e.is_enough] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_scenario_asks_for_more_than_two_cores_can_serve(name):
    plan = plan_of(name)
    flows = plan.target.flows
    load = sum(rate * len(flows[flow].steps) for pairs in plan.scenario.load.values() for flow, rate in pairs.items())
    assert load <= MOST_REQUESTS_A_SECOND


def test_a_thin_plan_says_so_before_it_runs():
    lines = in_words(small_plan(scenario={"load": {"acme": {"browse": 2}}, "blast_radius": {}}))
    assert lines == [
        "false if  acme       browse misses one of: errors < 0.5%, p95 < 250 ms; "
        "about 40 requests (fault to end), 59 show 5% of errors",
        "TOO FEW   acme       browse: raise its load, make the phases longer, or state a leak level",
    ]
