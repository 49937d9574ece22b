"""Where scenarios and targets are found: a path, the folder scenarios/ here, or what came with the harness."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from pathlib import Path

from harness.model.errors import HarnessError, UsageError
from harness.model.files.source import did_you_mean

DISTRIBUTION = "tenant-resilience-harness"
_OF_SAMPLE = re.compile(r"(?P<name>[\w.-]+).*;.*extra == ['\"]sample['\"]")
_REPOSITORY = Path(__file__).parents[2]


def bundled_scenarios() -> Path:
    """Return the folder of the scenarios that ship with the harness: inside the wheel, or the checkout's own."""
    in_wheel = Path(str(files("harness"))) / "_bundled" / "scenarios"
    return in_wheel if in_wheel.is_dir() else _REPOSITORY / "scenarios"


def sample_target() -> Path:
    """Return the target file of the sample stack, which lies beside the harness without being imported."""
    return _REPOSITORY / "target_stack" / "target.yaml"


def check_sample_is_installed(target: Path) -> None:
    """See that *target*, where it is the sample stack, has the packages that it alone needs.

    Raises:
        HarnessError: the extra `sample` is not installed.
    """
    missing = _missing_for_sample() if target.resolve() == sample_target() else []
    if missing:
        msg = f"the sample stack needs packages that are not installed: {', '.join(missing)}"
        raise HarnessError(msg, hint=f"pip install '{DISTRIBUTION}[sample]', or give your own target with --target")


def _missing_for_sample() -> list[str]:
    try:
        needed = [found["name"] for line in requires(DISTRIBUTION) or () if (found := _OF_SAMPLE.fullmatch(line))]
    except PackageNotFoundError:
        return []  # run from a checkout: whoever does so installs by the lock file
    return [name for name in needed if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def find_scenario(name: str) -> Path:
    """Turn what the user typed into a scenario file.

    Raises:
        UsageError: no such file or name; it suggests the nearest and says where it looked.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            msg = f"{name}: no such file"
            raise UsageError(msg, hint="`harness list` shows the scenarios that can be named")
        return path
    known = dict(reversed([(path.stem, path) for path in all_scenarios()]))
    if name not in known:
        msg = f"unknown scenario {name!r}{did_you_mean(name, known)}"
        raise UsageError(msg, hint="`harness list` shows what each one claims")
    return known[name]


def all_scenarios() -> Iterator[Path]:
    """Yield scenario files, those below ./scenarios first; a name that occurs twice means the first."""
    seen: set[str] = set()
    for folder in (Path("scenarios"), bundled_scenarios()):
        for path in sorted(folder.glob("*.yaml")):
            if path.stem not in seen and not path.name.endswith(".schema.yaml"):
                seen.add(path.stem)
                yield path
