"""Faults on the unit of a service: killed, paused, restarted, starved."""

import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from harness.faults.kinds.injector import UNKNOWN, Observed
from harness.faults.kinds.places import Places
from harness.faults.kinds.process_acts import (
    HelperStarted,
    LimitLowered,
    ProcessesKilled,
    ProcessesPaused,
    written,
)
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.units.unit import Limit, Unit, UnitError

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
        self._noun = ""
        self._first_ns: int | None = None

    def observed(self) -> Observed:
        """Return how many members of the unit it took hold of."""
        if self._touched < 0:
            return UNKNOWN
        return Observed(touched=self._touched, unit=self._noun, first_observed_ns=self._first_ns)

    def _take_hold(self, count: int, noun: str = "processes") -> None:
        self._touched, self._noun, self._first_ns = count, noun, now_ns()

    def _unit(self) -> Unit:
        unit = self._places.unit_of(self._service)
        if unit is None:
            msg = f"{self._name}: {self._service} has no process that could be touched"
            raise HarnessError(msg)
        return unit


class KillFault(_ServiceFault):
    """Every member of the unit is killed; `restart` asks it to end instead.

    Observed: the members are gone. Rolled back: the service serves again, started by its supervisor or the driver.
    """

    def apply(self) -> None:
        """Kill, and wait until they are gone; what does not end when asked is killed."""
        unit = self._unit()
        self._write(ProcessesKilled(self._name, self._service, unit.identity))
        self._places.expect_death(self._service)
        if self._fault.restart:
            unit.end()
            _until(lambda: not unit.living())  # looking does not collect them: that is for whoever started them
        unit.kill()
        _until(lambda: not unit.living())
        self._take_hold(unit.size, unit.noun)

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
    """Every member of the unit is stopped where it is: it holds its connections, and answers nothing.

    Observed: the members are in the state "stopped". Undone: they were resumed, and none of them is stopped.
    """

    def apply(self) -> None:
        """Stop, and wait until they say so."""
        unit = self._unit()
        act = ProcessesPaused(self._name, self._service, unit.identity)
        self._write(act)
        unit.pause()
        _until(lambda: bool(act.is_there()))
        self._take_hold(unit.size, unit.noun)


class CpuStressFault(_ServiceFault):
    """Busy processes on the machine's cores, which everything on this machine feels, the service among them.

    Observed: they use CPU time. Undone: they are killed, and gone.
    """

    def apply(self) -> None:
        """Start them; each carries the run's mark, so that it is found even if it was never journalled."""
        assert self._fault.cpu_stress is not None
        self._unit()
        command = [sys.executable, "-c", "while True: pass"]
        started = [
            subprocess.Popen(command, env=dict(self._safety.marker), start_new_session=True)
            for _ in range(self._fault.cpu_stress.workers)
        ]
        self._write(HelperStarted(self._name, self._service, written([psutil.Process(p.pid) for p in started])))
        self._take_hold(len(started))


class LimitFault(_ServiceFault):
    """A lower limit on memory (address space) or on open files and sockets, for the processes that run now.

    What a process holds already stays with it; what it asks for from now on is refused. Observed: the limit stands in
    the kernel, and what is in use is beyond it or near. Rolled back: the old limit stands there again.
    """

    def apply(self) -> None:
        """Journal the limit that holds, then lower it."""
        limit, value = self._asked()
        unit = self._unit()
        before = unit.read_limit(limit)
        self._write(LimitLowered(self._name, self._service, unit.identity, limit.value, value, before))
        try:
            unit.lower_limit(limit, value)
        except UnitError as problem:
            msg = f"{self._name}: {self._service}: {problem}"
            raise HarnessError(msg) from None
        self._take_hold(unit.size, unit.noun)

    def _asked(self) -> tuple[Limit, int]:
        if self._fault.memory_limit is not None:
            return Limit.MEMORY, self._fault.memory_limit.limit
        assert self._fault.fd_limit is not None
        return Limit.FILES, self._fault.fd_limit.limit


def _until(holds: Callable[[], bool], limit_s: float = _GONE_LIMIT_S) -> None:
    give_up = time.monotonic() + limit_s
    while not holds() and time.monotonic() < give_up:
        time.sleep(_POLL_S)
