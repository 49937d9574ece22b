"""Standard output and error that survive a reader who leaves: the exit code is the run's, whoever stopped reading."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_READER_LEFT = (errno.EPIPE, errno.EIO)  # EIO: the terminal was closed


class _Forgiving(io.FileIO):
    """A descriptor whose writes never raise: the rest is dropped, and `problem` says why unless the reader left."""

    problem = ""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _READER_LEFT:
                self.problem = error.strerror or str(error)
            return memoryview(data).nbytes


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Replace the process' own stdout and stderr; streams that somebody else put there are left alone."""
    _open_what_is_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_forgiving(stream, number) for number, stream in ((1, sys.stdout), (2, sys.stderr)))
    try:
        yield
        sys.stderr.flush()
    finally:
        sys.stdout, sys.stderr = before


def flush_output() -> str:
    """Write out what is left; return why output was lost, in words, "" where none was or where its reader left."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.problem if isinstance(raw, _Forgiving) else ""


def _open_what_is_closed() -> None:
    """A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and be written to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _forgiving(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None and not _is_own(stream, number):
        return stream
    if stream is not None:
        stream.flush()
    raw = _Forgiving(number, "wb", closefd=False)
    encoding, errors = (stream.encoding, stream.errors) if stream else ("utf-8", "backslashreplace")
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=number == 2 or raw.isatty())


def _is_own(stream: TextIO, number: int) -> bool:
    return any(stream is own for own in (sys.__stdout__, sys.__stderr__)) and stream.fileno() == number
