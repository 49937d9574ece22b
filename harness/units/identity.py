"""Processes by pid and creation time: nothing else with the same pid is ever touched."""

import contextlib
import math
from dataclasses import dataclass

import psutil

_HIGHEST_PID = 2**31 - 1
_SAME_START_S = 1.5
"""Creation times come from the boot time, which a step of the wall clock moves a little."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be taken for a later one with the same pid."""

    pid: int
    created_s: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Return who *pid* is now; None when there is no such process, or it is a zombie."""
        process = living(pid)
        with contextlib.suppress(psutil.Error):
            return cls(pid, process.create_time()) if process else None
        return None

    @classmethod
    def parse(cls, text: str) -> "Identity | None":
        """Read what `str` writes; None for anything else."""
        pid, _, created = text.partition(":")
        try:
            found = cls(int(pid), float(created))
        except ValueError:
            return None
        return found if 0 < found.pid <= _HIGHEST_PID and math.isfinite(found.created_s) else None

    def __str__(self) -> str:
        return f"{self.pid}:{self.created_s:.2f}"

    def process(self) -> psutil.Process | None:
        """Return the process if it still lives and is this one."""
        process = living(self.pid)
        with contextlib.suppress(psutil.Error):
            if process and abs(process.create_time() - self.created_s) < _SAME_START_S:
                return process
        return None


def living(pid: int) -> psutil.Process | None:
    """Return the process *pid* unless it is dead or a zombie."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
