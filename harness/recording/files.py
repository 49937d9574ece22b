"""Files of a recording, read and written without ever following a link: a folder may come from anywhere.

Light on purpose: the reaper and `harness abort` write events, and must start fast.
"""

import os
import stat
from pathlib import Path

PRIVATE_FOLDER, SHARED_FOLDER = 0o700, 0o755
PRIVATE_FILE, PLAIN_FILE = 0o600, 0o644
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotRegularError(OSError):
    """A folder, a link, a pipe or a device stands where a file should be."""


def make_run_folder(path: Path, *, share: bool = False) -> None:
    """Make the folder of a run, which must not exist yet: for this user alone, or readable by all with *share*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_FOLDER)
    if share:
        path.chmod(SHARED_FOLDER)


def open_to_read(path: Path) -> int:
    """Return a descriptor of a regular file; a link is refused, a pipe is never waited for."""
    return _regular(os.open(_no_link(path), _READ))


def open_to_append(path: Path) -> int:
    """Return a descriptor that appends to a regular file, which is made where there is none."""
    return _regular(os.open(_no_link(path), _APPEND, PLAIN_FILE))


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file."""
    with os.fdopen(open_to_read(path), "rb") as file:
        return file.read()


def create(path: Path, *, mode: int = PLAIN_FILE) -> int:
    """Return a descriptor of a new file; FileExistsError where anything has that name, also a link to nowhere."""
    return os.open(path, _CREATE, mode)


def write_new(path: Path, content: bytes, *, mode: int = PLAIN_FILE) -> None:
    """Write a file that must not exist yet; FileExistsError otherwise."""
    with os.fdopen(create(path, mode=mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_with(path: Path, content: bytes) -> None:
    """Write *path* aside and rename it into place: it is there whole, or as it was before."""
    aside = aside_of(path)
    try:
        write_new(aside, content)
        aside.rename(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def aside_of(path: Path) -> Path:
    """Return where this process writes *path* aside, with nothing in the way."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    aside.unlink(missing_ok=True)
    return aside


def is_regular(path: Path) -> bool:
    """Say whether *path* itself is a file: no link to one, no folder, no pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _no_link(path: Path) -> Path:
    if path.is_symlink():  # O_NOFOLLOW refuses it too, with a message that nobody understands
        msg = "it is a symbolic link"
        raise NotRegularError(msg)
    return path


def _regular(descriptor: int) -> int:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    msg = f"it is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}"
    raise NotRegularError(msg)
