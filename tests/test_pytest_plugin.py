"""The plugin for a user's pytest: a marked test fails unless its claim holds, a fixture runs scenarios."""

import subprocess
import sys

import pytest

import harness.report.terminal
import harness.workflows.trial  # noqa: F401 - loaded before pytester looks, which would load numpy once a test
from tests.workflows.tiny import write_tiny

pytest_plugins = ["pytester"]

STUB = """
import pathlib, types
import pytest
import harness.workflows.trial as trial
from harness.model.result.finding import Status

@pytest.fixture(autouse=True)
def no_stack(monkeypatch):
    def run_trial(plan, *, runs, on=None):
        held = not plan.without
        verdict = types.SimpleNamespace(status=Status.PASS if held else Status.FAIL)
        return types.SimpleNamespace(
            held=held, error=None, verdict=verdict, run=runs, plan=plan,
            judged=types.SimpleNamespace(recording=None, report=pathlib.Path("report.html")),
        )
    monkeypatch.setattr(trial, "run_trial", run_trial)
    monkeypatch.setattr("harness.report.terminal.summary", lambda *_, **__: "BROKEN back-away")
"""


@pytest.fixture
def stubbed(pytester):
    """Run tests of a user whose scenarios hold unless a protection is off."""
    write_tiny(pytester.path)
    pytester.makeconftest(STUB)

    def run(text):
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers")

    return run


def test_a_marked_test_runs_its_scenario_and_its_body_sees_the_trial(stubbed):
    result = stubbed("""
        import pytest
        @pytest.mark.resilience("back-away.yaml", seed=5)
        def test_back_away(harness_run):
            assert harness_run.trial.held
            assert harness_run.trial.plan.seed == 5
        @pytest.mark.resilience("back-away.yaml")
        def test_without_asking_for_the_fixture():
            pass
    """)
    result.assert_outcomes(passed=2)


def test_a_claim_that_does_not_hold_fails_the_test_before_its_body(stubbed):
    result = stubbed("""
        import pytest
        @pytest.mark.resilience("back-away.yaml", without=["fallback"])
        def test_back_away():
            print("the body ran")
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["BROKEN back-away", "report: report.html"])
    result.stdout.no_fnmatch_line("*the body ran*")


def test_the_fixture_runs_scenarios_with_options(stubbed):
    result = stubbed("""
        def test_the_fallback_is_needed(harness_run):
            assert harness_run("back-away.yaml").held
            assert not harness_run("back-away.yaml", without=["fallback"]).held
            assert len(harness_run.trials) == 2
    """)
    result.assert_outcomes(passed=1)


def test_what_is_wrong_with_a_scenario_is_a_failure_that_says_so(stubbed):
    result = stubbed("""
        import pytest
        @pytest.mark.resilience("back-awy.yaml")
        def test_misspelt():
            pass
        def test_nothing_was_run(harness_run):
            harness_run.trial
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*back-awy.yaml: no such file*", "*no scenario was run yet*"])


@pytest.mark.parametrize("heavy", ["harness.model.errors", "pydantic", "pandas", "pyarrow", "aiohttp", "locust"])
def test_loading_the_plugin_imports_nothing_heavy(heavy):
    asked = f"import harness.pytest_plugin, sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_a_real_run_on_two_small_programs(pytester, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_tiny(pytester.path)
    pytester.makepyfile("""
        def test_back_away(harness_run):
            trial = harness_run("back-away.yaml", seed=7)
            assert trial.error is None
            assert trial.judged.report.is_file()
            assert trial.verdict.how.value == "completed"
    """)
    pytester.runpytest_subprocess(timeout=120).assert_outcomes(passed=1)
