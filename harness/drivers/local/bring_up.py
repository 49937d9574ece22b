"""Everything of a local stack started at once.

ports -> (fault proxy with its links | initdb -> databases) -> services -> ready
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp

from harness.drivers import fault_proxy
from harness.drivers.local.parts import Parts
from harness.drivers.readiness import PortTakenError, until_ready
from harness.drivers.together import together
from harness.model.errors import TargetError
from harness.model.files.target import ends_of

_PORT_TRIES = 4


class BringUp:
    """One start of *target*; what was started is the nursery's, however far it got."""

    def __init__(self, parts: Parts) -> None:
        self._target = parts.target
        self._setting = parts.setting
        self._addresses = parts.addresses
        self._recipe = parts.recipe
        self._nursery = parts.nursery

    async def run(self, *, identities: str | None, until_crash: Coroutine[Any, Any, None]) -> None:
        """Return when everything is ready; the first failure, or *until_crash* when it raises, ends all."""
        links = asyncio.create_task(self._start_proxy(identities))
        databases = asyncio.create_task(self._recipe.make_data())
        async with aiohttp.ClientSession(trust_env=False) as client:
            ready = [self._bring_up(name, links, databases, client) for name in self._target.services]
            await together(ready, prerequisites=[links, databases], watch=until_crash)

    async def _start_proxy(self, identities: str | None) -> None:
        """Start the fault proxy and a proxy for each link."""
        here, recipe = self._addresses, self._recipe
        _, here.proxy_api = await fault_proxy.start_proxy(
            self._nursery,
            host=here.host,
            seed=self._setting.seed,
            log=recipe.logs / f"{fault_proxy.NAME}.log",
            environment=recipe.plain_environment(),
        )
        await asyncio.to_thread(self._setting.guard.proxy, here.proxy_api)
        here.links = await fault_proxy.make_links(here.proxy_api, here.upstreams(), host=here.host)
        await fault_proxy.describe_links(here.proxy_api, self._target, sorted(self._setting.looked_into), identities)

    async def _bring_up(
        self,
        name: str,
        links: "asyncio.Task[None]",
        databases: "asyncio.Task[None]",
        client: aiohttp.ClientSession,
    ) -> None:
        """Start one service and wait until it is ready."""
        await asyncio.shield(databases)  # initdb is soon done if eight services do not fight it for the processors
        if self._recipe.is_database(name):
            await self._recipe.copy_data(name)
        else:
            await asyncio.shield(links)
        await self._at_a_free_port(name, client)

    async def _at_a_free_port(self, name: str, client: aiohttp.ClientSession) -> None:
        """Start a service; a port that is taken costs a try."""
        for _ in range(_PORT_TRIES):
            running = await self._nursery.start(self._recipe.launch_of(name))
            ask, here = self._recipe.ask(name, client), self._addresses
            try:
                return await until_ready(running, ask, port=here.port(name), host=here.host)
            except PortTakenError:
                await self._nursery.stop(running, polite_s=0, urgent=self._setting.urgent)
                await self._move(name)
        msg = f"{name}: {_PORT_TRIES} free ports in turn were taken by somebody else before it could bind them"
        raise TargetError(msg, hint="another program keeps taking free ports; look for a port leak")

    async def _move(self, name: str) -> None:
        """Give a service another port; its links lead there, and no caller notices."""
        self._addresses.move(name)
        for link in self._target.links:
            if ends_of(link)[1] == name and self._addresses.proxy_api:
                await fault_proxy.move_upstream(self._addresses.proxy_api, link, self._addresses.address(name))
