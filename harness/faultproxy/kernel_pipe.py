"""Bytes from socket to socket without a copy through this process: pipes for splice(2)."""

import fcntl
import os
from contextlib import suppress

SPLICES = hasattr(os, "splice")  # Linux
CAPACITY_BYTES = 1024 * 1024  # what Linux lets everybody have; where it does not, the default is still right
_MOST_SPARE = 4
MOST_SPARE_DESCRIPTORS = 2 * _MOST_SPARE
_NOW = getattr(os, "SPLICE_F_NONBLOCK", 0) | getattr(os, "SPLICE_F_MOVE", 0)


class KernelPipe:
    """A bounded queue of bytes that are in no process's memory."""

    def __init__(self) -> None:
        """Raises OSError when there are no descriptors left."""
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, CAPACITY_BYTES)
        self.held_bytes = 0

    def fill(self, source: int) -> int:
        """Take what the socket has to give; 0 at its end. The pipe must be empty. Raises OSError as recv does."""
        self.held_bytes = os.splice(source, self._write_end, CAPACITY_BYTES, flags=_NOW)
        return self.held_bytes

    def pour(self, destination: int) -> int:
        """Give the socket what it takes. Raises OSError as send does."""
        poured = os.splice(self._read_end, destination, self.held_bytes, flags=_NOW)
        self.held_bytes -= poured
        return poured

    def close(self) -> None:
        """Drop what it holds."""
        os.close(self._read_end)
        os.close(self._write_end)


class KernelPipes:
    """A few empty pipes in reserve: only a direction whose destination is full keeps one for itself."""

    def __init__(self) -> None:
        self._spare: list[KernelPipe] = []

    def take(self) -> KernelPipe:
        """Return an empty pipe. Raises OSError when there are no descriptors left."""
        return self._spare.pop() if self._spare else KernelPipe()

    def give_back(self, pipe: KernelPipe) -> None:
        """Keep *pipe* for the next one if it is empty and wanted."""
        if pipe.held_bytes or len(self._spare) >= _MOST_SPARE:
            pipe.close()
        else:
            self._spare.append(pipe)

    def close(self) -> None:
        """Close the reserve."""
        while self._spare:
            self._spare.pop().close()
