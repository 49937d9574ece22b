"""Which processes belong to which run: each carries its run and its owner in its environment, whatever happens."""

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

RUN_VARIABLE = "HARNESS_RUN"
OWNER_VARIABLE = "HARNESS_OWNER"

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


def marker(run_id: str, owner: Identity) -> dict[str, str]:
    """Return what goes into the environment of every process of a run."""
    return {RUN_VARIABLE: run_id, OWNER_VARIABLE: str(owner)}


@dataclass(frozen=True, slots=True)
class Marked:
    """A living process that carries the mark of a run."""

    process: psutil.Process
    run_id: str
    owner: Identity | None

    @property
    def is_orphan(self) -> bool:
        """True where the harness that started it is no more; one without an owner was not started by a harness."""
        return self.owner is not None and self.owner.process() is None


def marked_processes(run_id: str | None = None) -> Iterator[Marked]:
    """Yield living processes of one run, or of all; other users' processes are not seen unless we are root."""
    for process in psutil.process_iter():
        if process.pid != os.getpid() and (found := _marked(process)) and run_id in (None, found.run_id):
            yield found


def _marked(process: psutil.Process) -> Marked | None:
    try:
        environment = process.environ()
        if RUN_VARIABLE not in environment or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (psutil.Error, OSError):
        return None
    return Marked(process, environment[RUN_VARIABLE], Identity.parse(environment.get(OWNER_VARIABLE, "")))
