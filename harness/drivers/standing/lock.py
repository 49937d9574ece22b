"""One run at a time uses a standing stack: a lock that the kernel gives back when its holder ends, however it does."""

import fcntl
import os
from pathlib import Path

_FILE = "in-use.lock"


class InUseError(Exception):
    """Another run holds the lock."""


def take(folder: Path) -> int:
    """Take the lock of the stack in *folder*; return what `os.close` gives back. InUseError where it is taken."""
    lock = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InUseError from None
    return lock


def is_in_use(folder: Path) -> bool:
    """Say whether a run holds the lock."""
    try:
        os.close(take(folder))
    except InUseError:
        return True
    return False
