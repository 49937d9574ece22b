"""Recordings written by hand, and what the check finds in them. `tests/recordings.py` of the harness writes them."""

import pytest

from harness.checks.judge import judge
from harness.checks.plugins import load_plugins
from harness.model.result.finding import Cause, Status
from tests.recordings import Stretch, Written, small_plan

CHECK = {"fairness": {"flow": "browse", "spread": "<= 2x"}}
FAULT_PHASE = Stretch(12, 22, "acme", "browse")


@pytest.fixture
def recorded(tmp_path):
    """Return a function that judges a recording in which acme's answers take that long under the fault."""
    load_plugins()

    def record(*, rate=6.0, latency_ms=100.0, **scenario):
        written = Written(tmp_path / "run", small_plan(scenario={"checks": [CHECK], **scenario}))
        written.load_as_planned(but=[FAULT_PHASE], latency_ms=100)
        written.requests("acme", "browse", 12, 22, rate=rate, latency_ms=latency_ms)
        written.fault_of_the_plan()
        verdict = judge(written.read())
        return [(found.status, found.cause) for found in verdict.findings if found.check == "fairness"]

    return record


def test_tenants_that_are_served_alike_pass(recorded):
    assert recorded() == [(Status.PASS, None)]


def test_a_tenant_that_waits_three_times_as_long_fails(recorded):
    assert recorded(latency_ms=300) == [(Status.FAIL, None)]


def test_too_few_answers_leave_it_unknown(recorded):
    assert recorded(rate=1.0) == [(Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)]


def test_a_single_tenant_does_not_exercise_it(recorded):
    assert recorded(load={"acme": {"browse": 6}}, blast_radius={}) == [(Status.NOT_EXERCISED, None)]
