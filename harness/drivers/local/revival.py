"""A service that was killed serves again: by its own supervisor, or started once more from here."""

import asyncio
import contextlib

import aiohttp

from harness.drivers.local.parts import Parts
from harness.drivers.process import Running
from harness.drivers.readiness import PortTakenError, until_ready
from harness.model.errors import TargetError

_LIMIT_S = 12.0
_SUPERVISOR_LIMIT_S = 5.0  # then we no longer wait for the service's own supervisor


class Revival:
    """Revives services of a started stack."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nursery = parts.nursery
        self._loop = asyncio.get_running_loop()

    def from_thread(self, service: str) -> str:
        """Revive from a thread that is not the loop's; return why the service does not serve, or ""."""
        done = asyncio.run_coroutine_threadsafe(self.revive(service), self._loop)
        try:
            return done.result(_LIMIT_S)
        except TimeoutError:
            done.cancel()
            return f"{service} does not serve within {_LIMIT_S:g}s"

    async def revive(self, service: str) -> str:
        """Start the service again if its process is gone, and wait until it serves; return why it does not, or ""."""
        running = self._nursery.running.get(service)
        try:
            if running is not None and running.code is None:
                if await self._is_ready(running, within_s=_SUPERVISOR_LIMIT_S):
                    return ""
                await self._nursery.stop(running, polite_s=0, urgent=self._parts.setting.urgent)
            running = await self._nursery.start(self._parts.recipe.launch_of(service))
            await self._until_ready(running, limit_s=_LIMIT_S)
        except (TargetError, PortTakenError) as problem:
            return str(problem)
        return ""

    async def _is_ready(self, running: Running, *, within_s: float) -> bool:
        with contextlib.suppress(TargetError, PortTakenError):
            await self._until_ready(running, limit_s=within_s)
            return True
        return False

    async def _until_ready(self, running: Running, *, limit_s: float) -> None:
        name, here = running.launch.name, self._parts.addresses
        async with aiohttp.ClientSession(trust_env=False) as client:
            ask = self._parts.recipe.ask(name, client)
            await until_ready(running, ask, port=here.port(name), host=here.host, limit_s=limit_s)
        running.is_expected_to_end = False
