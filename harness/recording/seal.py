"""The hashes that a run takes of its files when it ends, and what has changed since."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from harness.recording.columns import Table
from harness.recording.event_log import AFTERWARDS, EVENTS
from harness.recording.files import is_regular, open_to_read

DERIVED = ("run.json", "verdict.json", "report.html", "summary.md", "junit.xml")
"""Made of the others, and made again. run.json holds the hashes, and a digest of itself."""

_STATE = ("undo.jsonl", AFTERWARDS, "load.json")
"""What `harness recover` still writes to after the run, and what the load deletes once it is read."""


def hash_files(run: Path) -> dict[str, str]:
    """Return the sha256 of every file of the recording that is evidence."""
    files = ((path, path.relative_to(run).as_posix()) for path in sorted(run.rglob("*")))
    return {name: _sha256(path) for path, name in files if _is_hashed(name) and is_regular(path)}


def changed_files(run: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Yield what is no longer as *files* says, in words; nothing where nothing was hashed."""
    if not files:
        return
    for name, expected in sorted(files.items()):
        if name not in _STATE and (change := _change(run, name, expected)):
            yield f"{name} {change}"
    yield from (f"{name} was added" for name in _evidence(run) if name not in files)


def _is_hashed(name: str) -> bool:
    return name not in DERIVED and name not in _STATE and not name.endswith(".partial")


def _change(run: Path, name: str, expected: str) -> str:
    if not _is_within(name):
        return "lies outside of the recording"
    try:
        return "" if _sha256(run / name) == expected else "was changed"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _is_within(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _evidence(run: Path) -> Iterator[str]:
    """Yield the names of all files by which a run is judged."""
    if (run / EVENTS).exists():
        yield EVENTS
    for table in Table:
        yield from sorted(f"{table.value}/{path.name}" for path in (run / table.value).glob("*.parquet"))


def _sha256(path: Path) -> str:
    with os.fdopen(open_to_read(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
