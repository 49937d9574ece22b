"""Faults on processes. Each process is named with its creation time: nothing else with the same pid is ever touched."""

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from harness.faults.safety.acts import FaultAct
from harness.faults.safety.endings import end_processes
from harness.faults.safety.marked import Identity
from harness.faults.safety.ours import identities_problem

_POLL_S = 0.02


def written(processes: list[psutil.Process]) -> str:
    """Write processes down so that `identified` finds just these again."""
    return " ".join(str(Identity(process.pid, process.create_time())) for process in processes)


def identified(processes: str) -> Iterator[psutil.Process]:
    """Yield those of the written processes that still live."""
    for word in processes.split():
        identity = Identity.parse(word)
        if identity and (process := identity.process()):
            yield process


@dataclass(frozen=True, slots=True)
class ProcessesKilled(FaultAct):
    """Processes that were killed. There is nothing to take back: whoever runs the service starts it again."""

    what: ClassVar[str] = "killed"
    service: str
    processes: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the names of the processes."""
        return identities_problem(self.processes)

    def heal(self, deadline_s: float) -> str:  # noqa: ARG002
        """Nothing of it is left but the absence of what was killed."""
        return ""

    def is_there(self) -> bool | None:
        """True while none of the processes lives: then they were killed."""
        return next(identified(self.processes), None) is None


@dataclass(frozen=True, slots=True)
class ProcessesPaused(FaultAct):
    """Processes that were stopped by SIGSTOP."""

    what: ClassVar[str] = "paused"
    service: str
    processes: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the names of the processes."""
        return identities_problem(self.processes)

    def heal(self, deadline_s: float) -> str:
        """Continue each; a process that is gone is stopped no more."""
        while True:
            for process in identified(self.processes):
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGCONT)
            left = [process.pid for process in self._stopped()]
            if not left or time.monotonic() > deadline_s:
                return f"still stopped: {', '.join(map(str, left))}" if left else ""
            time.sleep(_POLL_S)

    def is_there(self) -> bool | None:
        """True where every one that lives is stopped."""
        living = list(identified(self.processes))
        return bool(living) and len(list(self._stopped())) == len(living)

    def _stopped(self) -> Iterator[psutil.Process]:
        for process in identified(self.processes):
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    yield process


@dataclass(frozen=True, slots=True)
class LimitLowered(FaultAct):
    """A resource limit of one process that was lowered; *soft* and *hard* are what it was."""

    what: ClassVar[str] = "limit"
    service: str
    process: str
    resource: int
    lowered: int
    soft: int
    hard: int

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the name of the process, and at what is limited."""
        if self.resource not in (psutil.RLIMIT_AS, psutil.RLIMIT_NOFILE) or min(self.soft, self.hard) < -1:
            return f"limit {self.resource} of {self.soft} and {self.hard} is not ours"
        return identities_problem(self.process)

    def heal(self, deadline_s: float) -> str:  # noqa: ARG002
        """Raise it again."""
        for process in identified(self.process):
            try:
                process.rlimit(self.resource, (self.soft, self.hard))
            except psutil.NoSuchProcess:
                return ""
            except (psutil.Error, OSError, ValueError) as problem:
                return f"the limit of process {process.pid} cannot be raised again: {problem}"
        return "the limit is still lowered" if self.is_there() else ""

    def is_there(self) -> bool | None:
        """Read the limit."""
        for process in identified(self.process):
            with contextlib.suppress(psutil.Error):
                return bool(process.rlimit(self.resource)[0] == self.lowered)
        return False


@dataclass(frozen=True, slots=True)
class HelperStarted(FaultAct):
    """Processes of ours that do harm by what they do: burn CPU, hold a lock or connections. They die with the fault."""

    what: ClassVar[str] = "helper"
    service: str
    processes: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the names of the processes."""
        return identities_problem(self.processes)

    def heal(self, deadline_s: float) -> str:
        """Kill them; what they held is given back by the kernel and by PostgreSQL."""
        roots = [(process, signal.SIGKILL) for process in identified(self.processes)]
        left = end_processes(roots, polite_s=max(0.1, deadline_s - time.monotonic())) if roots else []
        return f"still there: {', '.join(str(process.pid) for process in left)}" if left else ""

    def is_there(self) -> bool | None:
        """True while any of them lives."""
        return next(identified(self.processes), None) is not None
