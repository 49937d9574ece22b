"""Scenarios are found by name or path, one's own before the shipped ones."""

import pytest

from harness.model.errors import UsageError
from harness.runner.library import all_scenarios, bundled_scenarios, find_scenario, sample_target


def test_a_scenario_of_ones_own_hides_the_shipped_one_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    mine = tmp_path / "scenarios" / "noisy-neighbour.yaml"
    mine.write_text("claim: mine\n")
    assert find_scenario("noisy-neighbour").absolute() == mine
    assert find_scenario("payment-provider-hang") == bundled_scenarios() / "payment-provider-hang.yaml"


def test_from_an_empty_folder_the_shipped_scenarios_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "payment-provider-hang" in {path.stem for path in all_scenarios()}
    assert sample_target().is_file()


def test_a_name_that_is_not_known_suggests_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'noisy-neighbour'"):
        find_scenario("noisy-neighbor")
