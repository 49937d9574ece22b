"""From a name and options to a plan, or to an error that says what to do."""

from dataclasses import replace

import pytest

from harness.drivers.catalogue import DRIVERS
from harness.drivers.local.driver import CAPABILITIES
from harness.faults.kinds.catalogue import CATALOGUE, needs_of
from harness.model.errors import UsageError
from harness.model.files.scenario import read_scenario_head
from harness.model.files.target import Deployment
from harness.model.run.capabilities import Capability
from harness.runner import planning
from harness.runner.library import all_scenarios, find_scenario, sample_target
from harness.runner.planning import make_plan


def plan(name, **options):
    return make_plan(name, **{"target": None, "seed": 1, "quick": False, "without": [], **options})


def test_a_fault_that_starts_after_the_quick_fault_phase_is_refused(tmp_path):
    late = tmp_path / "late.yaml"
    text = find_scenario("payment-provider-hang").read_text()
    late.write_text(text.replace("    latency: 10s", "    latency: 10s\n    start: 15s"))
    assert plan(str(late)).fault_window_s(0) == (35.0, 40.0)
    with pytest.raises(UsageError, match="starts 15s into a fault phase of only 8s"):
        plan(str(late), quick=True)


def test_a_metric_that_is_looked_at_after_the_quick_phase_is_refused(tmp_path):
    late = tmp_path / "late.yaml"
    late.write_text(find_scenario("bad-release").read_text().replace("after: 8s", "after: 15s"))
    assert plan(str(late)).phases.fault == 18
    with pytest.raises(
        UsageError, match="taken-back: looks at resilience_release_percent from 15s on, in a fault phase"
    ):
        plan(str(late), quick=True)


@pytest.mark.parametrize("path", list(all_scenarios()), ids=lambda path: path.stem)
def test_every_scenario_can_be_run_quickly(path):
    assert plan(path.stem, quick=True).phases.total_s <= 70


def test_several_protections_may_be_named_with_commas_or_repeatedly():
    both = ["gateway-rate-limit", "gateway-tenant-bulkhead"]
    assert plan("noisy-neighbour", without=both).without == both
    assert plan("noisy-neighbour", without=[",".join(both)]).without == both


def test_without_a_seed_each_plan_gets_its_own():
    assert len({plan("noisy-neighbour", seed=None).seed for _ in range(5)}) > 1


def test_a_placeholder_that_nobody_fills_is_found_before_anything_starts(tmp_path):
    target = tmp_path / "target.yaml"
    target.write_text(sample_target().read_text().replace('"Bearer {token}"', '"Bearer {tokn}"'))
    with pytest.raises(UsageError, match="tokn"):
        plan("noisy-neighbour", target=target)


@pytest.mark.parametrize("deployment", ["compose", "external", "kubernetes"])
def test_a_deployment_without_a_driver_is_refused_at_its_place(deployment, tmp_path):
    target = tmp_path / "target.yaml"
    target.write_text(f"deployment: {deployment}\n" + sample_target().read_text())
    with pytest.raises(UsageError, match=f"target.yaml:1:13: the deployment '{deployment}' is not available"):
        plan("noisy-neighbour", target=target)


def test_what_is_deployed_locally_may_say_so(tmp_path):
    target = tmp_path / "target.yaml"
    target.write_text("deployment: local\n" + sample_target().read_text())
    assert plan("noisy-neighbour", target=target) == plan("noisy-neighbour")


@pytest.mark.parametrize("lacking", list(Capability))
def test_a_fault_that_the_driver_cannot_make_is_refused_with_both_named(lacking, monkeypatch):
    local = DRIVERS[Deployment.LOCAL]
    poorer = replace(local, capabilities=local.capabilities - {lacking})
    monkeypatch.setattr(planning, "kind_of", lambda _target: poorer)
    refused = [path.stem for path in all_scenarios() if (why := refusal_of(path.stem)) and check_text(why, lacking)]
    needing = [path.stem for path in all_scenarios() if needs(path.stem, lacking)]
    assert refused == needing


def refusal_of(name):
    try:
        plan(name)
    except UsageError as error:
        return str(error)
    return ""


def check_text(why, lacking):
    return f"needs {lacking.value!r}, which the driver 'local' does not have" in why


def needs(name, capability):
    head = read_scenario_head(find_scenario(name))
    return any(capability in needs_of(fault) for fault in head.faults)


def test_the_local_driver_can_make_every_fault_that_is_available():
    lacking = {name for name, kind in CATALOGUE.items() if set(kind.needs) - set(CAPABILITIES)}
    assert lacking == {"clock_shift", "disk_full"}
    assert [name for name, kind in CATALOGUE.items() if not kind.needs] == ["surge"]
