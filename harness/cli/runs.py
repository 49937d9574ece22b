"""Which recording is meant: a folder, the id that a run printed, or the newest."""

from pathlib import Path

from harness.model.errors import UsageError
from harness.model.files.source import did_you_mean


def find_run(named: str | None, runs: Path) -> Path:
    """Return the folder of a recording: *named* as a path, as an id below *runs*, or the newest there without a name.

    Raises:
        UsageError: there is none; it suggests the nearest id.
    """
    if named is None:
        return _newest(runs)
    if _is_there(Path(named)):
        return Path(named)
    if _is_there(runs / named):
        return runs / named
    msg = f"{named}: not a recording, and no run in {runs} has this id{did_you_mean(named, _ids(runs))}"
    raise UsageError(msg, hint="`harness check` and `harness report` take a run's folder, or its id")


def _newest(runs: Path) -> Path:
    ids = _ids(runs)
    if not ids:
        msg = f"no recording below {runs}"
        raise UsageError(msg, hint="`harness run SCENARIO` makes one; or name its folder")
    return runs / ids[-1]


def _ids(runs: Path) -> list[str]:
    """Return the ids of all recordings, the newest last; ids begin with their time."""
    return sorted(path.parent.name for path in runs.glob("*/run.json"))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a null byte
        return False
