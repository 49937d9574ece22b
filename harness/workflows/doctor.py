"""`harness doctor`: is everything here that a run needs, and is anything left of an earlier one?"""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.drivers.addresses import LOOPBACK
from harness.drivers.postgres import find_postgres
from harness.faults.safety.recover import leftovers
from harness.model.errors import HarnessError
from harness.runner.library import all_scenarios, sample_target

_NEEDED_DISK_BYTES = 500_000_000
_NEEDED_MEMORY_BYTES = 1_500_000_000
_BUSY = 0.5


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at; `remedy` is empty where all is well. A fatal one prevents runs."""

    what: str
    seen: str
    remedy: str = ""
    fatal: bool = True

    @property
    def healthy(self) -> bool:
        """True where nothing needs to be done."""
        return not self.remedy


def examine(runs: Path) -> Iterator[Symptom]:
    """Look at everything a run needs, quick things first; each is yielded as it is known."""
    looks: tuple[Callable[[], Symptom], ...] = (
        _python,
        _sample_stack,
        _postgres,
        _loopback,
        lambda: _folder(runs),
        _memory,
        _load,
        _left,
    )
    for look in looks:
        yield look()


def _python() -> Symptom:
    return Symptom("Python", f"{sys.version.split()[0]}, {os.cpu_count()} cores")


def _sample_stack() -> Symptom:
    names = [path.stem for path in all_scenarios()]
    if not names or not sample_target().is_file():
        return Symptom("sample stack", "scenarios or target.yaml are missing", "install the package again")
    return Symptom("sample stack", f"{len(names)} scenarios")


def _postgres() -> Symptom:
    try:
        found = find_postgres()
    except HarnessError as error:
        return Symptom("PostgreSQL", str(error), error.hint or "install the package again")
    return Symptom("PostgreSQL", str(found.version) if hasattr(found, "version") else str(found))


def _loopback() -> Symptom:
    try:
        with (
            socket.create_server((LOOPBACK, 0)) as server,
            socket.create_connection(server.getsockname(), timeout=2),
        ):
            return Symptom("loopback", f"{LOOPBACK} answers")
    except OSError as error:
        return Symptom("loopback", str(error), f"the services listen on {LOOPBACK}; allow it in this sandbox")


def _folder(runs: Path) -> Symptom:
    nearest = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    if not os.access(nearest, os.W_OK):
        return Symptom("recordings", f"{nearest} cannot be written", "choose another folder with --runs")
    remedy = "free some space, or choose another folder with --runs" if free < _NEEDED_DISK_BYTES else ""
    return Symptom("recordings", f"{runs}/ ({free / 1e9:.1f} GB free)", remedy)


def _memory() -> Symptom:
    free = psutil.virtual_memory().available
    remedy = "the sample stack takes about 1 GB; close something" if free < _NEEDED_MEMORY_BYTES else ""
    return Symptom("memory", f"{free / 1e9:.1f} GB available", remedy, fatal=False)


def _load() -> Symptom:
    busy = psutil.cpu_percent(interval=0.5) / 100
    remedy = "numbers of a run on a busy machine are worth less; stop what is using it" if busy > _BUSY else ""
    return Symptom("machine", f"{busy:.0%} busy", remedy, fatal=False)


def _left() -> Symptom:
    left = leftovers()
    if left:
        return Symptom("left behind", "; ".join(left), "`harness recover` undoes it", fatal=False)
    return Symptom("left behind", "nothing")
