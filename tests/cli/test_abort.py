"""`harness abort` and `harness faults` as a user sees them."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from harness.cli.main import _COMMANDS, cli, main
from harness.faults.kinds.catalogue import CATALOGUE
from harness.model.files.faults import KINDS, Fault
from harness.runner.library import find_scenario


@pytest.fixture(autouse=True)
def nothing_live(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_nothing_to_abort_is_fine(capsys):
    assert main(["abort"]) == 0
    assert capsys.readouterr().out == "nothing is live, and no fault is left\n"


def test_a_name_that_no_run_has_is_a_usage_error(capsys):
    assert main(["abort", "no-such-run"]) == 4
    assert "no live run is called 'no-such-run'" in capsys.readouterr().err


def test_a_run_that_is_over_can_be_aborted_again(tmp_path, capsys):
    assert main(["abort", str(tmp_path)]) == 0
    assert "nothing is live" in capsys.readouterr().out


def test_abort_loads_nothing_that_takes_long():
    heavy = ("pandas", "pyarrow", "aiohttp", "asyncpg", "nats", "locust", "pydantic")
    loads = f"import harness.cli.main, harness.cli.abort, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_is_where_it_is_said_to_be(name):
    command = cli.get_command(None, name)
    assert command is not None
    assert command.name == name


def test_the_catalogue_has_every_kind_that_a_scenario_can_ask_for(capsys):
    assert main(["faults", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sorted(row["name"] for row in rows) == sorted(KINDS)
    for row in rows:
        assert all(
            row[field] for field in ("place", "does", "example", "observed", "rolled_back", "platforms", "parameters")
        )
        assert row["available"] is (row["why_not"] == "")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_example_is_a_fault_of_its_kind(name):
    fault = Fault.model_validate(yaml.safe_load(f"{{{CATALOGUE[name].example}}}"))
    assert name in fault.given


def test_one_kind_is_told_in_full(capsys):
    assert main(["faults", "latency"]) == 0
    out = capsys.readouterr().out
    for line in (
        "latency.jitter (such as 250ms or 10s)",
        "toxicity (such as 5%",
        "ramp (",
        "repeat.times (whole number)",
    ):
        assert line in out


def test_a_misspelt_kind_is_a_usage_error_that_knows_better(capsys):
    assert main(["faults", "latensy"]) == 4
    assert "did you mean 'latency'" in capsys.readouterr().err


def test_a_kind_is_found_by_its_old_name_too(capsys):
    assert main(["faults", "hang"]) == 0
    said = capsys.readouterr()
    assert said.err == "'hang' is an old name of 'black_hole'\n"
    assert said.out.startswith("black_hole: the request never gets an answer")


def test_a_plan_notes_an_old_name_and_uses_todays(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    text = find_scenario("payment-provider-hang").read_text()
    path.write_text(text.replace("    latency: 10s", "    hang: true"))
    assert main(["plan", str(path)]) == 0
    said = capsys.readouterr()
    assert "payments -> provider-a: black_hole" in said.out
    assert re.search(r"note: .*mine\.yaml:\d+:5: 'hang' is an old name; write 'black_hole'", said.err)
