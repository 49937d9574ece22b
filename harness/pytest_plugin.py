"""Scenarios as tests: `@pytest.mark.resilience("scenario")`, and the fixture `harness_run` for tests that look closer.

    @pytest.mark.resilience("checkout-survives", target="target.yaml")
    def test_checkout_survives(harness_run):
        assert harness_run.trial.held  # the marker has run it; a claim that did not hold fails the test

    def test_the_breaker_is_needed(harness_run):
        assert not harness_run("checkout-survives", without=["breaker"]).held

pytest loads this module at every start where the harness is installed: it imports nothing of the harness until a
scenario is run.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.workflows.trial import Trial

MARKER = "resilience"
_LINE = 100


class HarnessRun:
    """Runs scenarios for one test; recordings go below *runs*."""

    def __init__(self, runs: Path, root: Path) -> None:
        self._runs = runs
        self._root = root
        self.trials: list[Trial] = []

    @property
    def trial(self) -> "Trial":
        """The latest trial; of a marked test first that of its marker."""
        if not self.trials:
            pytest.fail("no scenario was run yet: call harness_run(SCENARIO), or mark the test", pytrace=False)
        return self.trials[-1]

    def __call__(
        self,
        scenario: str | Path,
        *,
        target: str | Path | None = None,
        without: Sequence[str] = (),
        quick: bool = False,
        seed: int | None = None,
        on: str | None = None,
    ) -> "Trial":
        """Run *scenario* (a name, or a path from pytest's root folder) as `harness run` does, and judge it.

        *on* names a stack that `harness up` holds. Errors in the files or the options are raised as HarnessError.
        """
        from harness.runner.planning import make_plan
        from harness.workflows.standing import stack_for
        from harness.workflows.trial import run_trial

        plan = make_plan(
            self._found(scenario),
            target=None if target is None else Path(self._found(target)),
            seed=seed,
            quick=quick,
            without=without,
        )
        trial = run_trial(plan, runs=self._runs, on=stack_for(plan, on))
        self.trials.append(trial)
        return trial

    def _found(self, named: str | Path) -> str:
        below = self._root / named
        return str(below) if below.is_file() else str(named)


@pytest.fixture
def harness_run(request: pytest.FixtureRequest, tmp_path: Path) -> HarnessRun:
    """Run scenarios: `harness_run("scenario", without=[...])` returns a trial with its verdict and recording."""
    return HarnessRun(tmp_path / "runs", request.config.rootpath)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario, target=None, without=(), quick=False, seed=None, on=None): run the scenario before the "
        "test's body; the test fails unless the claim holds.",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give every marked test the fixture, whether it asks for it or not."""
    if item.get_closest_marker(MARKER) is not None and "harness_run" not in _fixtures(item):
        _fixtures(item).append("harness_run")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run a marked test's scenario; a claim that did not hold fails the test, with the verdict as its text."""
    marker = item.get_closest_marker(MARKER)
    if marker is not None:
        run: HarnessRun = item.funcargs["harness_run"]  # type: ignore[attr-defined]
        trial = run(*marker.args, **marker.kwargs)
        if not trial.held:
            pytest.fail(_told(trial), pytrace=False)
    return (yield)


def _fixtures(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return names


def _told(trial: "Trial") -> str:
    """Say what became of it as the command line does, and where the report is."""
    from harness.report.terminal import summary

    shown = summary(trial.judged.recording, trial.verdict, width=_LINE, colour=False)
    error = f"error: {trial.error}\n" if trial.error else ""
    return f"{error}{shown}\nreport: {trial.judged.report}"
