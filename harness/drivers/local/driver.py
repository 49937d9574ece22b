"""The target as processes of this machine, on loopback; see `Driver` for what each member promises."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.drivers.child_exits import ChildExits
from harness.drivers.driver import Setting
from harness.drivers.family import unit_below
from harness.drivers.local.bring_up import BringUp
from harness.drivers.local.parts import Parts
from harness.drivers.local.revival import Revival
from harness.drivers.process import Running
from harness.drivers.readiness import crash_of
from harness.drivers.whereabouts import Whereabouts
from harness.model.errors import TargetError
from harness.model.files.target import Deployment, ServiceKind, Target
from harness.model.run.capabilities import Capability
from harness.units.processes import Processes

CAPABILITIES = frozenset(Capability) - {Capability.CLOCK_SHIFT, Capability.DISK_QUOTA}
"""A clock would need libfaketime under every service; the databases share one file system."""
_POLITE_S = 4.0  # services drain for two seconds and flush their telemetry for one


class LocalDriver(Whereabouts):
    """Runs *target* below the run's folder."""

    def __init__(self, target: Target, setting: Setting) -> None:
        self._target = target
        self._setting = setting
        self._parts = Parts.of(target, setting)
        super().__init__(self._parts.addresses)
        self._recipe = self._parts.recipe
        self._nursery = self._parts.nursery
        self._exits = ChildExits(self._supervisors, emit=setting.emit, clock=setting.clock)
        self._revival: Revival | None = None

    @property
    def name(self) -> str:
        """The deployment."""
        return Deployment.LOCAL.value

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything that this machine's processes allow."""
        return CAPABILITIES

    # -- where things are ----------------------------------------------------------------------------------------------

    @property
    def listen_at(self) -> tuple[str, int]:
        """Loopback, any port."""
        return self._where.host, 0

    @property
    def identities(self) -> str | None:
        """Folder of each {service}'s identity; None where the target has none."""
        pattern = self._target.identities
        return pattern.replace("{state}", self._recipe.state) if pattern else None

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process that runs now, databases and the fault proxy included."""
        return {name: running.pid for name, running in dict(self._nursery.running).items()}

    @property
    def logs(self) -> Path:
        """The run's own folder of logs."""
        return self._recipe.logs

    # -- from start to stop --------------------------------------------------------------------------------------------

    async def start(self, *, otlp: str = "") -> None:
        """Start everything and wait until all of it is ready; TargetError or UsageError where that cannot be."""
        self._recipe.lay_out(otlp)
        self._where.choose()
        self._revival = Revival(self._parts)
        await BringUp(self._parts).run(identities=self.identities, until_crash=self._until_crash())
        self._exits.start()

    async def _until_crash(self) -> None:
        raise await self.first_crash()

    async def first_crash(self) -> TargetError:
        """Return when a process ends that should not have."""
        await self._nursery.crash.wait()
        return crash_of(self._nursery.crashed[0])

    async def stop(self) -> None:
        """Stop services first, then what they stand on, then remove the data. Bounded: about eight seconds."""
        await self._exits.stop()
        running = list(self._nursery.running.values())
        for process in running:
            process.is_expected_to_end = True  # all, before the first one falls and takes others with it
        services = [process for process in running if self._is_service(process.launch.name)]
        await self._stop_all(services)
        await self._stop_all([process for process in running if process not in services])
        await self._recipe.remove_folders()

    async def _stop_all(self, processes: Sequence[Running]) -> None:
        urgent = self._setting.urgent
        await asyncio.gather(*(self._nursery.stop(p, polite_s=_POLITE_S, urgent=urgent) for p in processes))

    def _is_service(self, name: str) -> bool:
        spec = self._target.services.get(name)
        return spec is not None and spec.kind is ServiceKind.COMMAND

    # -- what faults ask -----------------------------------------------------------------------------------------------

    def unit_of(self, service: str) -> Processes | None:
        """Return what the service's command started, below the supervisor if it has one."""
        running = self._nursery.running.get(service)
        if running is None or running.code is not None:
            return None
        return unit_below(running.pid, supervised=self._target.services[service].supervised)

    def expect_death(self, service: str) -> None:
        """Let the service die without ending the run."""
        if self._target.services[service].supervised:
            self._exits.expect(service)
        else:
            self._nursery.running[service].is_expected_to_end = True

    def revive(self, service: str) -> str:
        """Start the service again if its process is gone, and wait until it serves; return why it does not."""
        assert self._revival is not None
        return self._revival.from_thread(service)

    def _supervisors(self) -> Mapping[str, int]:
        """Return the supervisors that run, of services that have one."""
        running = dict(self._nursery.running)
        return {name: one.pid for name, one in running.items() if self._is_supervised(name) and one.code is None}

    def _is_supervised(self, name: str) -> bool:
        return name in self._target.services and self._target.services[name].supervised
