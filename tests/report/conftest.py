import pytest

from harness.report.html import render
from harness.report.observed import observe
from tests.report import verdicts
from tests.report.demo import Demo, demo_plan
from tests.report.reading import Page


@pytest.fixture(scope="session")
def held(tmp_path_factory):
    """A recording in which the breaker contained the fault."""
    return Demo(tmp_path_factory.mktemp("runs") / "held").write()


@pytest.fixture(scope="session")
def broken(tmp_path_factory):
    """A recording in which the breaker was switched off."""
    plan = demo_plan(without=("payments-breaker",))
    return Demo(tmp_path_factory.mktemp("runs") / "broken", plan=plan, opens_s=None).write()


@pytest.fixture(scope="session")
def not_felt(tmp_path_factory):
    """A recording whose fault reached nobody."""
    return Demo(tmp_path_factory.mktemp("runs") / "unknown", felt=False, opens_s=None).write()


@pytest.fixture(scope="session")
def held_page(held):
    return Page(render(held, verdicts.held()))


@pytest.fixture(scope="session")
def broken_page(broken):
    return Page(render(broken, verdicts.broken()))


@pytest.fixture
def observed(held):
    return observe(held)
