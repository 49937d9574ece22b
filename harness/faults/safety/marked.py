"""Which processes belong to which run: each carries its run and its owner in its environment, whatever happens."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from harness.units.identity import Identity, living

__all__ = ["Identity", "Marked", "living", "marked_processes", "marker"]

RUN_VARIABLE = "HARNESS_RUN"
OWNER_VARIABLE = "HARNESS_OWNER"


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
