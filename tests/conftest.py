"""Which tests `make check` leaves to `make test`: those that start processes or a real stack, and long statistics."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = (
    "checks/test_expectation.py",
    "checks/test_slowdown_rates.py",
    "drivers",
    "extending",
    "faultproxy",
    "faults",
    "honesty",
    "load",
    "target_stack/security",
    "target_stack/services",
    "workflows",
)
"""Folders and files below tests/ that start processes or repeat a statistic hundreds of times."""
FAST_AMONG_THEM = ("faults/test_declarations.py", "load/test_arrivals.py", "load/test_placeholders.py")
STACK_FIXTURES = {"stack", "secure_stack", "postgres", "collector"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if is_slow(item):
            item.add_marker(pytest.mark.slow)


def is_slow(item: pytest.Item) -> bool:
    if not item.path.is_relative_to(HERE):
        return False
    place = item.path.relative_to(HERE).as_posix()
    if place in FAST_AMONG_THEM:
        return False
    below = any(place == slow or place.startswith(f"{slow}/") for slow in SLOW)
    return below or not STACK_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
