"""Faults on the processes of a service: killed, paused, restarted, starved."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from harness.faults.kinds.injector import UNKNOWN, Felt
from harness.faults.kinds.places import Places
from harness.faults.kinds.process_acts import (
    HelperStarted,
    LimitLowered,
    ProcessesKilled,
    ProcessesPaused,
    identified,
    written,
)
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault

_GONE_LIMIT_S = 3.0
_POLL_S = 0.02


class _ServiceFault(StandingFault):
    """A fault on one service."""

    def __init__(self, fault: Fault, *, name: str, places: Places, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.service is not None
        self._fault = fault
        self._name = name
        self._service = fault.service
        self._places = places
        self._touched = -1
        self._first_ns: int | None = None

    def felt(self) -> Felt:
        """Return how many processes it took hold of."""
        if self._touched < 0:
            return UNKNOWN
        return Felt(touched=self._touched, unit="processes", first_felt_ns=self._first_ns)

    def _take_hold(self, count: int) -> None:
        self._touched, self._first_ns = count, now_ns()

    def _processes(self) -> list[psutil.Process]:
        found = list(self._places.processes_of(self._service))
        if not found:
            msg = f"{self._name}: {self._service} has no process that could be touched"
            raise HarnessError(msg)
        return found


class KillFault(_ServiceFault):
    """SIGKILL of every process of the service; `restart` asks politely with SIGTERM instead.

    Felt: the processes are gone. Undone: the service serves again, started by its own supervisor or else by the driver.
    """

    def apply(self) -> None:
        """Kill, and wait until they are gone."""
        processes = self._processes()
        act = ProcessesKilled(self._name, self._service, written(processes))
        self._write(act)
        self._places.expect_death(self._service)
        number = signal.SIGTERM if self._fault.restart else signal.SIGKILL
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        _until(lambda: bool(act.is_there()))  # looking does not collect them: that is for whoever started them
        for process in identified(act.processes):
            with contextlib.suppress(psutil.Error):
                process.kill()
        _until(lambda: bool(act.is_there()))
        self._take_hold(len(processes))

    def lifted_by(self) -> str:
        """Nobody takes a death back; that the service is started again is what should happen."""
        return ""

    def undo(self) -> str:
        """Make sure that the service serves again."""
        if not self._written:
            return ""
        cause = self._places.revive(self._service)
        return cause or super().undo()


class PauseFault(_ServiceFault):
    """SIGSTOP of every process of the service: it holds its connections, and answers nothing.

    Felt: the processes are in the state "stopped". Undone: SIGCONT, and none of them is.
    """

    def apply(self) -> None:
        """Stop, and wait until the kernel says so."""
        processes = self._processes()
        act = ProcessesPaused(self._name, self._service, written(processes))
        self._write(act)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
        _until(lambda: bool(act.is_there()))
        self._take_hold(len(processes))


class CpuStressFault(_ServiceFault):
    """Busy processes on the machine's cores, which everything on this machine feels, the service among them.

    Felt: they use CPU time. Undone: they are killed, and gone.
    """

    def apply(self) -> None:
        """Start them; each carries the run's mark, so that it is found even if it was never journalled."""
        assert self._fault.cpu_stress is not None
        self._processes()
        command = [sys.executable, "-c", "while True: pass"]
        started = [
            subprocess.Popen(command, env=dict(self._safety.marker), start_new_session=True)
            for _ in range(self._fault.cpu_stress.workers)
        ]
        self._write(HelperStarted(self._name, self._service, written([psutil.Process(p.pid) for p in started])))
        self._take_hold(len(started))


class LimitFault(_ServiceFault):
    """A lower limit on memory (address space) or on open files and sockets, for the processes that run now.

    What a process holds already stays with it; what it asks for from now on is refused. Felt: the limit stands in the
    kernel and what is in use is beyond it or near. Undone: the old limit stands there again.
    """

    def apply(self) -> None:
        """Lower the soft limit of each process; the hard one stays, so that it can be raised again."""
        resource, limit = self._asked()
        processes = self._processes()
        for process in processes:
            soft, hard = process.rlimit(resource)
            lowered = limit if hard == psutil.RLIM_INFINITY else min(limit, hard)
            act = LimitLowered(self._name, self._service, written([process]), resource, lowered, soft, hard)
            self._write(act)
            try:
                process.rlimit(resource, (lowered, hard))
            except (psutil.Error, OSError, ValueError) as problem:
                msg = f"{self._name}: the limit of {self._service} (pid {process.pid}) cannot be lowered: {problem}"
                raise HarnessError(msg) from None
        self._take_hold(len(processes))

    def _asked(self) -> tuple[int, int]:
        if self._fault.memory_limit is not None:
            return psutil.RLIMIT_AS, self._fault.memory_limit.limit
        assert self._fault.fd_limit is not None
        return psutil.RLIMIT_NOFILE, self._fault.fd_limit.limit


def _until(holds: Callable[[], bool], limit_s: float = _GONE_LIMIT_S) -> None:
    give_up = time.monotonic() + limit_s
    while not holds() and time.monotonic() < give_up:
        time.sleep(_POLL_S)
