"""Which runs there are on this machine: one small file each, so that they are found from any directory."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.faults.safety.marked import Identity
from harness.faults.safety.ours import NAME, identities_problem


@dataclass(frozen=True, slots=True)
class Registered:
    """A run, who runs it, and where its undo journal lies."""

    run_id: str
    folder: str
    journal: str
    harness: str  # Identity
    reaper: str  # Identity; "" before it started

    @property
    def harness_lives(self) -> bool:
        """True while the process that registered the run is there."""
        return _lives(self.harness)

    @property
    def reaper_lives(self) -> bool:
        """True while its reaper is there."""
        return _lives(self.reaper)

    @property
    def pid(self) -> int:
        """The process that a signal would have to go to."""
        identity = Identity.parse(self.harness)
        return identity.pid if identity else 0


def _lives(identity: str) -> bool:
    parsed = Identity.parse(identity)
    return parsed is not None and parsed.process() is not None


def register(run: Registered) -> Path:
    """Write the run's file, whole or not at all, and return its path; a second call replaces it."""
    path = state_folder() / f"{run.run_id}-{run.pid}.json"
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(asdict(run)) + "\n", encoding="utf-8")
    aside.rename(path)
    return path


def registered() -> Iterator[tuple[Path, Registered]]:
    """Yield every registered run with its file, oldest first; a file that cannot be read is passed over."""
    for path in sorted(state_folder().glob("*.json")):
        with contextlib.suppress(_UnreadableError, FileNotFoundError):
            yield path, _read(path)


def unreadable() -> Iterator[str]:
    """Yield why a file of a run cannot be read, with its path: what that run left is not found."""
    for path in sorted(state_folder().glob("*.json")):
        try:
            _read(path)
        except FileNotFoundError:
            continue
        except _UnreadableError as problem:
            yield f"{path} cannot be read: {problem}; what its run left may still be in place"


class _UnreadableError(Exception):
    """The file is not what `register` writes."""


def _read(path: Path) -> Registered:
    try:
        run = Registered(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise  # its run is over
    except (OSError, ValueError, TypeError, RecursionError) as problem:
        raise _UnreadableError(getattr(problem, "strerror", None) or str(problem)) from None
    if not all(isinstance(value, str) for value in asdict(run).values()):
        msg = "its values must be text"
        raise _UnreadableError(msg)
    if why := identities_problem(run.harness) or (run.reaper and identities_problem(run.reaper)):
        raise _UnreadableError(why)
    if not Path(run.journal).is_absolute() or "\0" in run.journal + run.folder:
        msg = f"{run.journal!r} is no path of a journal"
        raise _UnreadableError(msg)
    return run


def live_runs() -> list[Registered]:
    """Return the runs and standing stacks whose harness is alive now: what `harness down` ends."""
    return [run for _, run in registered() if run.harness_lives]


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's own folder for this; below the temporary one where there is no home that can be written."""
    base = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/nonexistent")) / ".local" / "state"
    candidates = (Path(base) / NAME, Path(tempfile.gettempdir()) / f"{NAME}-{os.geteuid()}")
    problems = []
    for folder in candidates:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.geteuid() and os.access(folder, os.W_OK | os.X_OK):
                return folder
            problems.append(f"{folder}: belongs to somebody else, or cannot be written")
        except OSError as problem:
            problems.append(str(problem))
    raise OSError("; ".join(problems))
