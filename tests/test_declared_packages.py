"""What is imported is declared: by the harness itself, or, for the sample stack alone, by the extra `sample`."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"harness", "target_stack"}
NEVER_AT_RUN_TIME = {"_typeshed", "pytest"}
"""Stubs, and what loads the pytest plugin itself."""
DISTRIBUTION_OF = {
    "google.protobuf": "protobuf",
    "opentelemetry.proto": "opentelemetry-proto",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry": "opentelemetry-api",
}
"""Namespaces that several distributions share, the longest first."""


def declared(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {name_of(re.split(r"[\s\[<>=!;]", line)[0]) for line in lines}


def name_of(distribution):
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imports_of(package):
    """Return each third-party module that *package* imports, with one file that does."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for module in modules_in(node):
                if module.partition(".")[0] not in {*sys.stdlib_module_names, *OURS, *NEVER_AT_RUN_TIME}:
                    found.setdefault(module, str(path.relative_to(ROOT)))
    return found


def modules_in(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def distribution_of(module):
    for namespace, distribution in DISTRIBUTION_OF.items():
        if module == namespace or module.startswith(f"{namespace}."):
            return distribution
    (distribution, *_) = packages_distributions().get(module.partition(".")[0], [module])
    return name_of(distribution)


@pytest.mark.parametrize(("package", "extras"), [("harness", ()), ("target_stack", ("sample",))])
def test_every_imported_package_is_declared(package, extras):
    known = declared(*extras)
    missing = {m: f for m, f in imports_of(package).items() if distribution_of(m) not in known}
    assert missing == {}


def test_what_only_the_sample_needs_is_in_its_extra():
    harness, sample = declared(), declared("sample") - declared()
    used = {distribution_of(module) for module in imports_of("harness")}
    assert used & sample == set()
    assert harness & sample == set()


def test_the_locked_environment_has_the_sample_too():
    locked = {name_of(line.partition("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert declared("sample") - locked == set()
