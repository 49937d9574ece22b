"""The other end of a standing stack: whoever started it lets runs use it."""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.drivers.driver import Driver, Setting
from harness.drivers.guard import Token
from harness.drivers.standing.control import Control, Wish
from harness.drivers.standing.lock import is_in_use
from harness.drivers.standing.stack import FILE, StandingStack
from harness.model.files.target import Target

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Traces:
    """Where the services of a standing stack send their traces."""

    url: str
    port: int  # kept for the receiver of a run; 0 where somebody else receives them


class Holder:
    """Describes the stack in its folder, and takes the wishes of the run that uses it."""

    def __init__(self, target: Target, driver: Driver, setting: Setting, *, traces: Traces, holder: str) -> None:
        self._target = target
        self._driver = driver
        self._setting = setting
        self._traces = traces
        self._holder = holder
        self._killed: set[str] = set()
        self._folder: tuple[Path, Token] | None = None
        self._control: Control | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Let runs use the stack from now on."""
        folder = Path(tempfile.mkdtemp(prefix="harness-control-"))
        self._folder = folder, self._setting.guard.folder(folder)
        grants = {Wish.EXPECT_DEATH: self._expect_death, Wish.REVIVE: self._revive}
        self._control = Control(folder / "socket", grants)
        await self._control.start()
        self._describe()
        self._task = asyncio.create_task(self._care())

    async def stop(self) -> None:
        """No further run may use it. Safe to call twice, and without `start`."""
        (self._setting.run / FILE).unlink(missing_ok=True)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._control is not None:
            await self._control.stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(self._setting.guard.undo, folder[1])

    def _describe(self) -> None:
        assert self._folder is not None
        where = self._driver.where
        StandingStack(
            run_id=self._setting.run_id,
            folder=str(self._setting.run),
            holder=self._holder,
            target=self._target,
            without=list(self._setting.without),
            ports=where.ports,
            links=where.links,
            host=where.host,
            proxy_api=where.proxy_api,
            identities=self._driver.identities,
            control=str(self._folder[0] / "socket"),
            otlp=self._traces.url,
            otlp_port=self._traces.port,
            pids=dict(self._driver.pids),
        ).write()

    def _expect_death(self, service: str) -> str:
        self._driver.expect_death(service)
        self._killed.add(service)
        return ""

    def _revive(self, service: str) -> str:
        cause = self._driver.revive(service)
        if not cause:
            self._killed.discard(service)
            self._describe()  # it has another pid
        return cause

    async def _care(self) -> None:
        """Revive what a run killed that is itself no more."""
        while True:
            await asyncio.sleep(_EVERY_S)
            if self._killed and not is_in_use(self._setting.run):
                for service in sorted(self._killed):
                    with contextlib.suppress(KeyError):
                        await asyncio.to_thread(self._revive, service)
