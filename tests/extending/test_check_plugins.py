"""Checks of other distributions: the worked example, and what is said of a broken one."""

import json
import os
import shutil
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from harness.checks import plugins
from harness.checks.plugins import load_plugins
from harness.cli.main import main
from harness.model.errors import DamagedRecordingError, HarnessError
from harness.model.files.check_kinds import declared
from harness.model.files.scenario import CheckSpec, Scenario
from harness.model.files.schema import json_schema
from harness.recording.reader import Recording
from tests.recordings import Written, small_plan

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "extending" / "check"
ASKED = {"fairness": {"flow": "browse", "spread": "<= 2x"}}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that makes a distribution known whose entry points are these, as an installer would."""

    def install(name="tenant-fairness-check", **points):
        site = tmp_path / f"site-{name}"
        about = site / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{point} = {value}" for point, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[harness.checks]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    forget()
    yield install
    forget()


def forget():
    """Let nothing of one test's plugins reach another."""
    plugins.declared_by_plugins.cache_clear()
    declared._added.clear()
    for module in [name for name in sys.modules if name.partition(".")[0] in ("tenant_fairness", "broken_check")]:
        del sys.modules[module]
    invalidate_caches()


@pytest.fixture
def example(installed):
    site = installed(fairness="tenant_fairness.kind:FAIRNESS")
    shutil.copytree(EXAMPLE / "src", site, dirs_exist_ok=True)
    return site


def environment(site):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def test_the_example_is_as_its_page_says(example):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "test_tenant_fairness.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(example), cwd=ROOT, timeout=120, check=False
    )
    assert (done.returncode, done.stdout[:4]) == (0, "...."), done.stdout + done.stderr
    page, entry = (EXAMPLE / "README.md").read_text(), 'fairness = "tenant_fairness.kind:FAIRNESS"'
    assert entry in page
    assert entry in (EXAMPLE / "pyproject.toml").read_text()


def test_nothing_is_loaded_on_import(example):
    loads = "import harness.cli.main, harness.checks.judge, harness.checks.plugins, sys; "
    loads += "print([name for name in sys.modules if name.startswith('tenant_fairness')])"
    done = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, env=environment(example), check=True
    )
    assert done.stdout == "[]\n"


def test_a_plugins_check_is_one_of_all_and_survives_the_recording(example):
    assert [(kind.name, kind.origin) for kind in load_plugins()] == [("fairness", "tenant-fairness-check")]
    entry = CheckSpec.model_validate(ASKED)
    assert (entry.kind, entry.id, entry.spec.flow) == ("fairness", "fairness", "browse")
    raw = {"claim": "It holds, come what may.", "load": {"a": {"browse": 1}}, "checks": [ASKED]}
    scenario = Scenario.model_validate({**raw, "faults": [{"link": "a -> b", "latency": "1s"}]})
    for stored in (scenario.model_dump(mode="json"), json.loads(scenario.model_dump_json())):
        assert stored["checks"][0]["fairness"] == {"flow": "browse", "spread": "<= 2x"}
        assert Scenario.model_validate(stored).checks == [entry]
    assert "fairness" in json.dumps(json_schema(Scenario))


def scenario_with(tmp_path, check):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "claim: It holds, come what may.\nload: {acme: {browse: 5}}\n"
        "phases: {warmup: 1s, baseline: 5s, fault: 5s, recovery: 5s}\n"
        f"faults:\n  - {{service: orders, kill: true}}\nchecks:\n  - {check}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("fairness: {flow: brwse}", "7:22: unknown flow 'brwse'; did you mean 'browse'?"),
        ("fairness: {flo: browse}", "7:16: unknown key 'flo'; did you mean 'flow'?"),
        ("fairnes: {flow: browse}", "7:5: unknown key 'fairnes'; did you mean 'fairness'?"),
        ("{fairness: {flow: browse}, isolation: {}}", "got isolation, fairness"),
    ],
)
def test_a_mistake_is_found_as_with_any_check(example, tmp_path, check, said, capsys):
    assert main(["plan", scenario_with(tmp_path, check)]) == 4
    assert said in capsys.readouterr().err


def test_a_recording_whose_check_has_no_plugin_is_refused_never_judged_without_it(example, tmp_path):
    load_plugins()
    Written(tmp_path / "run", small_plan(scenario={"checks": [ASKED]})).read()
    forget()
    with pytest.raises(
        DamagedRecordingError, match=r"checks\.0: the kind of this check is not known: install its plugin"
    ):
        Recording(tmp_path / "run")


BROKEN = {
    "no such module": ("broken_check.kind:KIND", "", "No module named 'broken_check.kind'"),
    "no such name": ("broken_check:OTHER", "", "has no attribute 'OTHER'"),
    "an error on import": ("broken_check:KIND", "1 / 0", "ZeroDivisionError"),
    "an exit on import": ("broken_check:KIND", "raise SystemExit(7)", "SystemExit"),
    "something else": ("broken_check:KIND", "KIND = 7", "it is a int, not a CheckKind"),
    "a name that exists": ("broken_check:KIND", "KIND = kind(name='breaker')", "already has the name or key 'breaker'"),
    "a check of every run": (
        "broken_check:KIND",
        "KIND = kind(name='rollback')",
        "already has the name or key 'rollback'",
    ),
    "the name of an option": ("broken_check:KIND", "KIND = kind(name='severity')", "already has the name or key"),
    "the name of a method": ("broken_check:KIND", "KIND = kind(name='model_dump')", "already has the name or key"),
    "no name": ("broken_check:KIND", "KIND = kind(name='a b')", "'a b' cannot be the name"),
    "a private name": ("broken_check:KIND", "KIND = kind(name='_mine')", "'_mine' cannot be the name"),
    "no judge": ("broken_check:KIND", "KIND = kind(judge='broken_check:nobody')", "has no attribute 'nobody'"),
    "no function": ("broken_check:KIND", "KIND = kind(judge='broken_check:NUMBER')", "must name functions"),
    "no parameters": ("broken_check:KIND", "KIND = kind(spec=None)", "`spec` must be a class of parameters"),
    "parameters of another kind": (
        "broken_check:KIND",
        "KIND = kind(spec=dict)",
        "`spec` must be a class of parameters",
    ),
    "no signals": ("broken_check:KIND", "KIND = kind(stands_on={'requests'})", "`stands_on` must be a frozenset"),
    "no by_absence": ("broken_check:KIND", "KIND = kind(by_absence='broken_check:gone')", "has no attribute 'gone'"),
}
PREAMBLE = """
from harness.model.base import Spec
from harness.model.files.check_kinds.row import CheckKind

NUMBER = 7

class Mine(Spec):
    flow: str

def kind(**said):
    usual = {"name": "mine", "judge": "broken_check:kind", "passes": "x", "fails": "x", "spec": Mine}
    return CheckKind(**(usual | said))

"""


@pytest.mark.parametrize(("value", "code", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_clear_error_that_names_it(installed, value, code, said, capsys):
    site = installed("broken-dist", mine=value)
    (site / "broken_check.py").write_text(PREAMBLE + code)
    with pytest.raises(HarnessError) as raised:
        load_plugins()
    assert str(raised.value).startswith(f"check plugin broken-dist (mine = {value}): ")
    assert said in str(raised.value)
    assert main(["list"]) == 3
    assert "broken-dist" in capsys.readouterr().err


def test_two_plugins_with_one_name_are_an_error(installed):
    for distribution in ("broken-dist", "broken-other"):
        site = installed(distribution, mine="broken_check:KIND")
        (site / "broken_check.py").write_text(PREAMBLE + "KIND = kind()")
    with pytest.raises(HarnessError, match=r"another plugin already has a check named 'mine'"):
        load_plugins()


def test_a_broken_plugin_does_not_keep_recover_from_its_work(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    installed("broken-dist", mine="broken_check:KIND")
    assert main(["recover"]) == 0
