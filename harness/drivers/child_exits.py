"""Ends of services that a supervisor keeps alive. It starts them again so quickly that nobody else would notice."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.drivers.family import children_of, program_of
from harness.drivers.guard import Emit
from harness.model.run.clock import Clock
from harness.model.run.events import Event, Kind

_EVERY_S = 0.2


@dataclass
class _Family:
    """What a supervisor keeps alive; a child that runs another program than the first ones is none of the service."""

    supervisor: int
    members: frozenset[int]
    programs: frozenset[tuple[str, ...]]


class ChildExits:
    """Looks at the children of *supervisors* (service -> pid) five times a second; tells of each end and new start.

    The exit code is known to the supervisor alone: the events carry none.
    """

    def __init__(self, supervisors: Callable[[], Mapping[str, int]], *, emit: Emit, clock: Clock) -> None:
        self._supervisors = supervisors
        self._emit = emit
        self._clock = clock
        self._families: dict[str, _Family] = {}
        self._expected: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take what lives now as the services, and begin to look."""
        self.look()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking, after a last look. Safe to call twice, and without `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self.look()

    def expect(self, service: str) -> None:
        """Whoever is the service now is about to be killed. May be called from any thread."""
        supervisor = self._supervisors().get(service)
        if supervisor is not None:
            self._expected |= children_of(supervisor)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        for service, supervisor in self._supervisors().items():
            children = children_of(supervisor)
            family = self._families.get(service)
            if family is None or family.supervisor != supervisor or not family.programs:
                self._families[service] = _meet(supervisor, children, family)
            elif children != family.members:
                self._compare(service, family, children)

    def _compare(self, service: str, family: _Family, children: frozenset[int]) -> None:
        for pid in sorted(family.members - children):
            expected = pid in self._expected
            self._expected.discard(pid)
            self._tell(Kind.PROCESS_EXITED, service, pid, code=None, expected=expected)
        born = {pid for pid in children - family.members if program_of(pid) in family.programs}
        for pid in sorted(born):
            self._tell(Kind.PROCESS_STARTED, service, pid)
        family.members = (family.members & children) | born

    def _tell(self, kind: Kind, service: str, pid: int, **fields: bool | None) -> None:
        self._emit(Event(self._clock.now_ns(), kind, {"service": service, "pid": pid, **fields}))


def _meet(supervisor: int, children: frozenset[int], before: _Family | None) -> _Family:
    programs = frozenset(program for pid in children if (program := program_of(pid)))
    return _Family(supervisor, children, programs | (before.programs if before else frozenset()))
