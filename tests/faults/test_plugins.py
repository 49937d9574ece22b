"""Fault kinds of other distributions: the worked example, and what is said of a broken one."""

import json
import os
import shutil
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.faults import acts_catalogue, plugin_kinds
from harness.faults.plugins import load_plugins
from harness.model.errors import HarnessError
from harness.model.files.fault_kinds import declared
from harness.model.files.faults import Fault
from harness.model.files.scenario import Scenario
from harness.model.files.schema import json_schema

EXAMPLE = Path(__file__).parents[2] / "docs" / "extending" / "fault-kind"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that makes a distribution known whose entry points are these, as an installer would."""

    def install(name="tenant-quota-fault", **points):
        site = tmp_path / f"site-{name}"
        about = site / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{point} = {value}" for point, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[harness.faults]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    forget(monkeypatch)
    yield install
    forget(monkeypatch)


def forget(monkeypatch):
    """Let nothing of one test's plugins reach another."""
    plugin_kinds.declared_by_plugins.cache_clear()
    acts_catalogue._installed.cache_clear()
    declared._added.clear()
    for module in [name for name in sys.modules if name.partition(".")[0] in ("tenant_quota", "broken_plugin")]:
        del sys.modules[module]
    invalidate_caches()


@pytest.fixture
def example(installed):
    site = installed(tenant_quota="tenant_quota.kind:TENANT_QUOTA")
    shutil.copytree(EXAMPLE / "src", site, dirs_exist_ok=True)
    return site


def environment(site):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).parents[2])])}


def test_the_example_is_as_its_page_says(example):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "test_tenant_quota.py")],
        capture_output=True,
        text=True,
        env=environment(example),
        cwd=EXAMPLE.parents[2],
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout[:2]) == (0, ".."), done.stdout + done.stderr
    page, entry = (EXAMPLE / "README.md").read_text(), 'tenant_quota = "tenant_quota.kind:TENANT_QUOTA"'
    assert entry in page
    assert entry in (EXAMPLE / "pyproject.toml").read_text()


def test_nothing_is_loaded_on_import(example):
    loads = "import harness.cli.main, harness.faults.schedule, harness.faults.safety.reaper, sys; "
    loads += "print([name for name in sys.modules if name.startswith('tenant_quota')])"
    done = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, env=environment(example), check=True
    )
    assert done.stdout == "[]\n"


def test_a_plugins_kind_is_one_of_all(example, capsys):
    assert [kind.name for kind in load_plugins()] == ["tenant_quota"]
    fault = Fault.model_validate({"service": "orders", "tenant_quota": {"file": "/tmp/quota-x", "limit": 3}})
    assert (fault.kind, fault.place, fault.spec.limit) == ("tenant_quota", "orders", 3)
    assert main(["faults", "--json", "tenant_quota"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["plugin"], row["available"]) == ("tenant-quota-fault", True)
    assert {"tenant_quota.file", "tenant_quota.limit"} <= {parameter["name"] for parameter in row["parameters"]}


def test_a_plugins_kind_survives_the_recording(example):
    load_plugins()
    raw = {"service": "orders", "tenant_quota": {"file": "/tmp/quota-x", "limit": 3}}
    fault = Fault.model_validate(raw)
    scenario = Scenario.model_validate({"claim": "It holds, come what may.", "load": {"a": {"b": 1}}, "faults": [raw]})
    for stored in (scenario.model_dump(mode="json"), json.loads(scenario.model_dump_json())):
        assert stored["faults"][0]["tenant_quota"] == {"file": "/tmp/quota-x", "limit": 3}
        assert Scenario.model_validate(stored).faults == [fault]


def test_the_schema_for_editors_has_it_too(example):
    load_plugins()
    schema = json_schema(Scenario)
    assert "tenant_quota" in json.dumps(schema)
    assert "latency" in json.dumps(schema)


def scenario_with(tmp_path, fault):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "claim: It holds, come what may.\nload: {acme: {browse: 5}}\n"
        f"phases: {{warmup: 1s, baseline: 5s, fault: 5s, recovery: 5s}}\nfaults:\n  - {fault}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("{service: orders, tenant_quota: {file: x, limit: 0}}", "5:54: faults.0.tenant_quota.limit: "),
        ("{service: orders, tenant_quota: {fil: x, limit: 1}}", "5:38: unknown key 'fil'; did you mean 'file'?"),
        ("{service: orders, tenant_qota: {file: x, limit: 1}}", "5:23: unknown key 'tenant_qota'; did you mean"),
        ("{link: orders -> payments, tenant_quota: {file: x, limit: 1}}", "a tenant_quota has no link"),
        ("{service: orders, tenant_quota: {file: x, limit: 1}, kill: true}", "got kill, tenant_quota"),
    ],
)
def test_a_mistake_is_found_as_with_any_kind(example, tmp_path, fault, said, capsys):
    assert main(["plan", scenario_with(tmp_path, fault)]) == 4
    assert said in capsys.readouterr().err


def test_a_plan_shows_it(example, tmp_path, capsys):
    assert main(["plan", scenario_with(tmp_path, "{service: orders, tenant_quota: {file: x, limit: 1}}")]) == 0
    assert "orders: tenant_quota file x limit 1" in capsys.readouterr().out


def test_the_reaper_rolls_it_back_without_having_been_told_of_plugins(example, tmp_path):
    quota = tmp_path / "quota-acme"
    quota.write_text("3")
    act = {"number": 0, "what": "quota", "fault": "fault-1", "file": str(quota), "before": 100, "lowered": 3}
    (tmp_path / "undo.jsonl").write_text(json.dumps(act) + "\n")
    command = [sys.executable, "-m", "harness.faults.safety.reaper", "--journal", str(tmp_path / "undo.jsonl")]
    done = subprocess.run(
        [*command, "--lease-s", "60"], input=b"", env=environment(example), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, quota.read_text()) == (0, "100")


def test_without_its_plugin_the_act_is_left_behind(installed, tmp_path):
    from harness.faults.safety.journal import outstanding

    (tmp_path / "undo.jsonl").write_text('{"number": 0, "what": "quota", "fault": "fault-1"}\n')
    (entry,) = outstanding(tmp_path / "undo.jsonl")
    assert "its plugin is not installed" in entry.problem


BROKEN = {
    "no such module": ("broken_plugin.kind:KIND", "", "No module named 'broken_plugin.kind'"),
    "no such name": ("broken_plugin:OTHER", "", "has no attribute 'OTHER'"),
    "an error on import": ("broken_plugin:KIND", "1 / 0", "ZeroDivisionError"),
    "an exit on import": ("broken_plugin:KIND", "raise SystemExit(7)", "SystemExit"),
    "something else": ("broken_plugin:KIND", "KIND = 7", "it is a int, not a FaultKind"),
    "a name that exists": ("broken_plugin:KIND", "KIND = kind(name='latency')", "already has the key 'latency'"),
    "an old name": ("broken_plugin:KIND", "KIND = kind(name='hang')", "already has the key 'hang'"),
    "the name of an option": ("broken_plugin:KIND", "KIND = kind(name='duration')", "already has the key 'duration'"),
    "the name of a method": (
        "broken_plugin:KIND",
        "KIND = kind(name='model_dump')",
        "already has the key 'model_dump'",
    ),
    "no name": ("broken_plugin:KIND", "KIND = kind(name='a b')", "'a b' cannot be the name"),
    "no maker": ("broken_plugin:KIND", "KIND = kind(make='broken_plugin:nobody')", "has no attribute 'nobody'"),
    "no function": ("broken_plugin:KIND", "KIND = kind(make='broken_plugin:PLACE')", "must name functions"),
    "no parameters": ("broken_plugin:KIND", "KIND = kind(spec='broken_plugin:Nothing')", "has no attribute 'Nothing'"),
    "no act": ("broken_plugin:KIND", "KIND = kind(acts=('broken_plugin:Nothing',))", "has no attribute 'Nothing'"),
    "an act that is none": ("broken_plugin:KIND", "KIND = kind(acts=('broken_plugin:Act',))", "Act is not a FaultAct"),
    "an act with a taken name": (
        "broken_plugin:KIND",
        "KIND = kind(acts=('broken_plugin:Taken',))",
        "already has an act named 'toxic'",
    ),
}
PREAMBLE = """
from dataclasses import dataclass
from harness.faults.safety.acts import FaultAct
from harness.model.files.fault_kinds.row import FaultKind, Place

PLACE = Place.SERVICE

def kind(**said):
    return FaultKind(**({"name": "mine", "place": PLACE, "does": "x", "example": "x", "observed": "x",
                         "rolled_back": "x", "make": "broken_plugin:kind"} | said))

class Act:
    what = "mine"

class Taken(FaultAct):
    what = "toxic"

"""


@pytest.mark.parametrize(("value", "code", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_clear_error_that_names_it(installed, value, code, said, capsys):
    site = installed("broken-dist", mine=value)
    (site / "broken_plugin.py").write_text(PREAMBLE + code)
    with pytest.raises(HarnessError) as raised:
        load_plugins()
    assert str(raised.value).startswith(f"fault plugin broken-dist (mine = {value}): ")
    assert said in str(raised.value)
    assert main(["faults"]) == 3
    assert "broken-dist" in capsys.readouterr().err


def test_two_plugins_with_one_name_are_an_error_that_names_the_second(installed):
    for distribution in ("broken-dist", "broken-other"):
        site = installed(distribution, mine="broken_plugin:KIND")
        (site / "broken_plugin.py").write_text(PREAMBLE + "KIND = kind()")
    with pytest.raises(HarnessError, match=r"another plugin already has a kind named 'mine'"):
        load_plugins()


def test_a_broken_plugin_does_not_keep_recover_from_its_work(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    installed("broken-dist", mine="broken_plugin:KIND")
    assert main(["recover"]) == 0
