"""The driver of a run that uses a standing stack: it starts nothing of it, and stops nothing of it."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from harness.drivers.child_exits import ChildExits
from harness.drivers.driver import Setting
from harness.drivers.family import unit_below
from harness.drivers.local.driver import CAPABILITIES
from harness.drivers.standing.control import Wish, ask
from harness.drivers.standing.leaders import Leaders
from harness.drivers.standing.lock import InUseError, take
from harness.drivers.standing.stack import StandingStack
from harness.drivers.standing.steady import check_steady
from harness.drivers.whereabouts import Whereabouts
from harness.model.errors import TargetError, UsageError
from harness.model.run.capabilities import Capability
from harness.model.run.events import Event, Kind
from harness.units.processes import Processes


class StandingDriver(Whereabouts):
    """See `Driver` for what each member promises."""

    def __init__(self, stack: StandingStack, setting: Setting) -> None:
        super().__init__(stack.addresses)
        self._stack = stack
        self._setting = setting
        self._leaders = Leaders(stack, emit=setting.emit, clock=setting.clock)
        self._exits = ChildExits(self._leaders.supervisors, emit=setting.emit, clock=setting.clock)
        self._lock: int | None = None

    @property
    def name(self) -> str:
        """The deployment of its target."""
        return self._stack.target.deployment.value

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those of a stack of one's own: its holder revives what a fault killed."""
        return CAPABILITIES

    # -- where things are ----------------------------------------------------------------------------------------------

    @property
    def listen_at(self) -> tuple[str, int]:
        """The port to which the services have sent their traces all along."""
        return self._where.host, self._stack.otlp_port

    @property
    def identities(self) -> str | None:
        """Folder of each {service}'s identity."""
        return self._stack.identities

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process of the stack that runs now."""
        return self._leaders.pids

    @property
    def logs(self) -> Path:
        """The stack's folder of logs."""
        return self._stack.path / "logs-raw"

    # -- from start to stop --------------------------------------------------------------------------------------------

    async def start(self, *, otlp: str = "") -> None:  # noqa: ARG002
        """Take the stack for this run, and see that it is fit; UsageError where another run uses it."""
        self._take()
        await check_steady(self._stack)
        await asyncio.to_thread(self._setting.guard.proxy, self.proxy_api)
        self._note(f"the run uses the standing stack {self._stack.run_id}")
        if not self._stack.otlp_port:
            self._note(f"the services send their traces to {self._stack.otlp}: this run has none")
        self._leaders.start()
        self._exits.start()

    def _note(self, text: str) -> None:
        self._setting.emit(Event(self._setting.clock.now_ns(), Kind.NOTE, {"text": text}))

    def _take(self) -> None:
        try:
            self._lock = take(self._stack.path)
        except InUseError:
            msg = f"another run uses the stack {self._stack.run_id}"
            raise UsageError(msg, hint="wait for its end; `harness abort` ends it at once") from None

    async def stop(self) -> None:
        """Give the stack back, as it is."""
        await self._exits.stop()
        await self._leaders.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                os.close(lock)

    async def first_crash(self) -> TargetError:
        """Return when a service of the stack ends that should not have, or the stack as a whole."""
        return await self._leaders.first_crash()

    # -- what faults ask -----------------------------------------------------------------------------------------------

    def unit_of(self, service: str) -> Processes | None:
        """Return what the service's command started, below the supervisor if it has one."""
        pid = self._leaders.pids.get(service)
        return unit_below(pid, supervised=self._stack.target.services[service].supervised) if pid else None

    def expect_death(self, service: str) -> None:
        """Let the service die without ending the run, or the stack."""
        if self._stack.target.services[service].supervised:
            self._exits.expect(service)
            return
        self._leaders.expect(service)
        if cause := ask(self._stack.control, Wish.EXPECT_DEATH, service):
            raise TargetError(cause)

    def revive(self, service: str) -> str:
        """Have the holder start the service again if its process is gone; return why it does not serve."""
        cause = ask(self._stack.control, Wish.REVIVE, service)
        self._leaders.look_again()
        return cause
