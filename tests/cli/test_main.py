"""What a user sees of the command line when nothing is started: help, lists, plans, and every kind of mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.model.files.scenario import Scenario
from harness.model.files.schema import json_schema
from harness.model.files.target import Target

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SHIPPED = ["noisy-neighbour", "payment-provider-hang", "slow-orders-database"]


def test_help_documents_the_exit_codes(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for line in (
        "0  the claim held",
        "1  a critical check failed",
        "5  a rollback could not be confirmed",
        "130  interrupted",
    ):
        assert line in out


def test_list_names_every_shipped_scenario(capsys):
    assert main(["list", "--json"]) == 0
    assert set(SHIPPED) <= {row["name"] for row in json.loads(capsys.readouterr().out)}


def test_listing_an_unknown_tag_is_a_usage_error_that_names_the_tags(capsys):
    assert main(["list", "--tag", "nigthly"]) == 4
    assert "tags: " in capsys.readouterr().err


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_plans(name, capsys):
    assert main(["plan", name, "--seed", "7", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["name"], plan["seed"]) == (name, 7)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_quick_plan_lasts_at_most_22_seconds(name, capsys):
    assert main(["plan", name, "--quick"]) == 0
    total = capsys.readouterr().out.split("(", 2)[2].split("s in all")[0]
    assert float(total) <= 22


@pytest.mark.parametrize("name", SHIPPED)
def test_every_protection_that_a_shipped_scenario_proves_can_be_switched_off(name, capsys):
    assert main(["plan", name, "--json"]) == 0
    proves = json.loads(capsys.readouterr().out)["scenario"]["proves"]
    assert proves
    for entries in proves.values():
        for entry in entries:  # a protection, or several that are switched off together
            protections = entry if isinstance(entry, str) else ",".join(entry)
            assert main(["plan", name, "--without", protections]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "payment-provider-hnag"], "did you mean 'payment-provider-hang'?"),
        (["run", "no/such.yaml"], "no/such.yaml: no such file"),
        (["run", "payment-provider-hang", "--without", "payment-breaker"], "did you mean 'payments-breaker'?"),
        (["check", "no-such-folder"], "not a recording"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["rnu"], "No such command 'rnu'"),
    ],
)
def test_a_mistake_is_exit_4_with_the_next_step(argv, message, capsys):
    assert main(argv) == 4
    assert message in capsys.readouterr().err


def test_a_misspelt_key_is_reported_with_its_position(tmp_path, capsys):
    scenario = tmp_path / "mine.yaml"
    text = (SCENARIOS / "payment-provider-hang.yaml").read_text()
    scenario.write_text(text.replace("    latency: 10s", "    latncy: 10s"))
    assert main(["plan", str(scenario)]) == 4
    line = text[: text.index("    latency: 10s")].count("\n") + 1
    assert f"mine.yaml:{line}:5: unknown key 'latncy'; did you mean 'latency'?" in capsys.readouterr().err


@pytest.mark.parametrize(("model", "file"), [(Scenario, "schema.json"), (Target, "target.schema.json")])
def test_the_published_schema_is_the_validators_own(model, file):
    assert json.loads((SCENARIOS / file).read_text()) == json_schema(model)


def test_output_that_is_cut_off_by_its_reader_is_no_error():
    command = f"{sys.executable} -m harness list | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_plan_says_when_each_fault_comes(capsys):
    assert main(["plan", "crash-between-commit-and-publish"]) == 0
    assert "broker: kill  (at 0s..2s, for 1s, every 5s, 8 times)" in capsys.readouterr().out
