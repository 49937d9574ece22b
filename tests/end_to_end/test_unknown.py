"""A pass must be earned: what was not observed, or was sick before, is unknown with exit code 2."""

import pytest

from harness.runner.library import sample_target
from tests.end_to_end.running import run_harness

pytestmark = pytest.mark.end_to_end

TEMPLATE = """
claim: A fault that nobody can feel, or a baseline that is already broken, decides nothing.
load: {load}
phases: {{warmup: 2s, baseline: 6s, fault: 6s, recovery: 6s}}
faults:
  - link: {link}
    latency: 300ms
checks:
  - objective: {{flow: browse, p95: "{p95}"}}
"""


def scenario(tmp_path, **values):
    path = tmp_path / "mine.yaml"
    path.write_text(TEMPLATE.format(**values))
    return str(path)


def test_a_fault_on_a_link_without_traffic_is_not_observed(tmp_path):
    mine = scenario(tmp_path, load="{acme: {browse: 8}}", link="payments -> provider-b", p95="< 250ms")
    outcome = run_harness("run", mine, cwd=tmp_path)
    assert (outcome.code, outcome.verdict["status"], outcome.verdict["cause"]) == (2, "unknown", "not observed"), (
        outcome.out
    )
    assert "not observed" in outcome.out


def test_a_baseline_out_of_objective_is_unknown_sick_baseline(tmp_path):
    slow = tmp_path / "target.yaml"
    text = sample_target().read_text()
    assert 'browse:   {errors: "< 0.5%", p95: "< 250ms"}' in text
    slow.write_text(
        text.replace('browse:   {errors: "< 0.5%", p95: "< 250ms"}', 'browse:   {errors: "< 0.5%", p95: "< 1ms"}')
    )
    mine = scenario(tmp_path, load="{acme: {browse: 8}}", link="gateway -> catalog", p95="< 2s")
    outcome = run_harness("run", mine, "--target", str(slow), cwd=tmp_path)
    assert (outcome.code, outcome.verdict["status"], outcome.verdict["cause"]) == (2, "unknown", "sick baseline"), (
        outcome.out
    )
