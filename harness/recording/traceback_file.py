"""Where the traceback of a bug goes: into a file of the run's folder, or of a private temporary folder."""

import os
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from harness.model.errors import UnforeseenError
from harness.recording.files import PRIVATE_FILE, write_new

_LONGEST = 200


def unforeseen(error: BaseException, *, folder: Path | None, doing: str = "") -> UnforeseenError:
    """Write the traceback of *error*; return the error that tells the user of it in one line."""
    said = " ".join(str(error).split())[:_LONGEST]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    told = f"a bug of the harness{f' in {doing}' if doing else ''}: {what}"
    path = _write(error, folder)
    where = f"report it with {path}" if path else "report it; its traceback could not be written anywhere"
    return UnforeseenError(f"{told}; {where}")


def _write(error: BaseException, folder: Path | None) -> Path | None:
    text = "".join(traceback.format_exception(error)).encode("utf-8", "replace")
    name = f"traceback-{time.time_ns()}-{os.getpid()}.txt"
    places: tuple[Callable[[], Path | None], ...] = (lambda: folder, _private_folder)
    for make in places:
        try:
            if place := make():
                write_new(place / name, text, mode=PRIVATE_FILE)
                return place / name
        except OSError:
            continue
    return None


def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="harness-traceback-"))  # mode 0700
