"""What a machine does by itself: from runs without a fault, and from the calm phases of recordings."""

import numpy as np
import pytest

from harness.cli.main import main
from harness.evidence.facts import Facts
from harness.model.errors import UsageError
from harness.model.files.design import Interleaved
from harness.runner import machine
from harness.workflows.calibrate import calibrate, calm_pairs
from tests.recordings import Written, small_plan

DESIGN = Interleaved.model_validate({"pairs": 4, "window": "2s", "settle": "500ms"})


def recorded(folder, *, noise=0.0, seed=1, aa=True):
    written = Written(folder, small_plan(seed=seed, aa=aa))
    random = np.random.default_rng(seed)
    for second in range(32):
        common = float(np.exp(random.normal(0, noise)))
        for tenant, flows in written.plan.scenario.load.items():
            for flow in flows:
                written.requests(tenant, flow, second, second + 1, rate=8, latency_ms=50 * common)
    written.fault_of_the_plan()
    written.read()
    return folder


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def test_a_calm_machine_scatters_not_at_all_and_never_alarms(tmp_path):
    found = calibrate([recorded(tmp_path / "run")], DESIGN, seed=1)
    figures = found.of("globex", "browse", "p95")
    assert (figures.scatter, found.false_alarms, found.target) == (0.0, 0.0, "small-shop")
    assert figures.pairs == 7


@pytest.mark.parametrize(("plan", "pairs"), [({}, 2), ({"aa": True}, 7)])
def test_windows_come_from_the_baseline_or_from_all_of_a_run_without_a_fault(tmp_path, plan, pairs):
    facts = Facts(Written(tmp_path / "empty", small_plan(**plan)).read())
    assert len(list(calm_pairs(facts, DESIGN, seed=1))) == pairs


def test_what_all_tenants_share_is_known_as_the_weight_of_the_reference(tmp_path):
    runs = [recorded(tmp_path / str(seed), noise=0.3, seed=seed) for seed in range(3)]
    found = calibrate(runs, DESIGN, seed=1)
    figures = found.of("globex", "browse", "p50")
    assert figures.scatter > 0.1
    assert figures.weight == pytest.approx(1.0, abs=0.05)


def test_too_few_windows_are_refused(tmp_path):
    with pytest.raises(UsageError, match="only 1 pairs"):
        calibrate([recorded(tmp_path / "run", aa=False)], Interleaved(), seed=1)


def test_figures_are_kept_for_this_machine_and_target(state):
    found = calibrate([recorded(state / "run")], DESIGN, seed=1)
    assert machine.known_calibration("small-shop") is None
    path = machine.keep(found)
    assert path.is_relative_to(state / "state")
    assert (machine.known_calibration("small-shop"), machine.known_calibration("another")) == (found, None)


def test_a_file_that_is_no_calibration_counts_as_none(state):
    machine.keep(calibrate([recorded(state / "run")], DESIGN, seed=1)).write_text("{", encoding="utf-8")
    assert machine.known_calibration("small-shop") is None


def test_the_command_tells_what_it_measured(state, capsys):
    run = recorded(state / "run")
    assert main(["calibrate", "--from", str(run), "--window", "2"]) == 0
    told = capsys.readouterr().out
    assert "globex/browse/p95" in told
    assert "false alarms 0.0% of 400 resampled runs" in told


def test_the_command_needs_something_to_calibrate_by(capsys):
    assert main(["calibrate"]) == 4
    assert "name a scenario" in capsys.readouterr().err
