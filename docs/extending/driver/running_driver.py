"""A driver for services that somebody else has started on this machine: it waits for them, and stops none of them."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from harness.drivers.addresses import Addresses
from harness.drivers.driver import Setting
from harness.drivers.whereabouts import Whereabouts
from harness.model.errors import TargetError
from harness.model.files.target import Target
from harness.model.run.capabilities import Capability
from harness.units.unit import Unit

CAPABILITIES: frozenset[Capability] = frozenset({Capability.DATABASE_ACCESS, Capability.FLAG_ACCESS})
"""Callers find each other without the harness, so no call goes through the fault proxy; nobody may be killed."""
READY_LIMIT_S = 5.0
_POLL_S = 0.05


class RunningDriver(Whereabouts):
    """See `Driver` for what each member promises; `Whereabouts` has those about addresses."""

    def __init__(self, target: Target, setting: Setting, *, ports: Mapping[str, int]) -> None:
        super().__init__(Addresses(target, ports=dict(ports)))
        self._target = target
        self._setting = setting

    @property
    def name(self) -> str:
        """The deployment of its target."""
        return self._target.deployment.value

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What faults may ask of it."""
        return CAPABILITIES

    @property
    def listen_at(self) -> tuple[str, int]:
        """Any port: the services are configured by somebody else."""
        return self._where.host, 0

    @property
    def identities(self) -> str | None:
        """None: certificates are somebody else's."""
        return None

    @property
    def pids(self) -> Mapping[str, int]:
        """None: the harness runs none of it."""
        return {}

    @property
    def logs(self) -> Path:
        """An empty folder of the run."""
        return self._setting.run

    async def start(self, *, otlp: str = "") -> None:
        """Return once every service takes connections; TargetError with the ones that do not."""
        waiting = {name: asyncio.create_task(self._reached(name)) for name in self._target.services}
        _, pending = await asyncio.wait(waiting.values(), timeout=READY_LIMIT_S)
        for task in pending:
            task.cancel()
        if missing := [f"{name} at {self._where.address(name)}" for name, task in waiting.items() if task in pending]:
            msg = f"nothing answers for {', '.join(missing)} after {READY_LIMIT_S:g}s"
            raise TargetError(msg, hint="start the target first")

    async def _reached(self, service: str) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self._where.host, self._where.port(service))
                writer.close()
                return
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """Leave everything as it is: `start` started nothing."""

    async def first_crash(self) -> NoReturn:
        """Wait for ever: crashes are not seen here. Failing requests show them."""
        await asyncio.Event().wait()
        raise AssertionError

    def unit_of(self, service: str) -> Unit | None:
        """None: there is nothing that could be killed."""
        return None

    def expect_death(self, service: str) -> None:
        """Not called: no fault that kills is within its capabilities."""

    def revive(self, service: str) -> str:
        """Say why the service is not started again."""
        return f"{service} was started by somebody else: start it again there"
