"""The sample stack without the packages that it alone needs."""

from importlib.metadata import PackageNotFoundError

import pytest

from harness.model.errors import HarnessError
from harness.runner import library
from harness.runner.library import check_sample_is_installed, sample_target

REQUIRES = [
    "click>=8.2",
    "openfeature-sdk>=0.8; extra == 'sample'",
    'uvloop>=0.23; sys_platform != "win32" and extra == "sample"',
]


@pytest.fixture
def without_openfeature(monkeypatch):
    def version(name):
        if name == "openfeature-sdk":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(library, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(library, "version", version)


def test_the_missing_packages_are_named_with_the_extra(without_openfeature):
    with pytest.raises(HarnessError, match=r"not installed: openfeature-sdk$") as raised:
        check_sample_is_installed(sample_target())
    assert raised.value.hint.startswith("pip install 'tenant-resilience-harness[sample]'")


def test_a_target_of_ones_own_needs_none_of_them(without_openfeature, tmp_path):
    check_sample_is_installed(tmp_path / "target.yaml")


def test_an_environment_with_the_extra_is_fine():
    check_sample_is_installed(sample_target())
