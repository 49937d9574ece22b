"""The target as local processes on 127.0.0.1: fault proxy, databases and services, all started at once.

ports -> (fault proxy with its links | initdb -> databases) -> services -> ready
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil

from harness.drivers import environment, fault_proxy, postgres_server
from harness.drivers.environment import Surroundings
from harness.drivers.guard import Emit, Guard, Token
from harness.drivers.ports import free_ports
from harness.drivers.postgres import Installed, find_postgres, prepare
from harness.drivers.process import Launch, Nursery, Running
from harness.drivers.readiness import Ask, PortTakenError, ask_database, ask_http, ask_tcp, crash_of, until_ready
from harness.drivers.together import together
from harness.model.errors import TargetError
from harness.model.files.target import READY_TCP, Protocol, ServiceKind, Target, ends_of, split_port
from harness.model.run.clock import Clock

HOST = "127.0.0.1"
_POLITE_S = 4.0  # services drain for two seconds and flush their telemetry for one
_PORT_TRIES = 4
_REVIVE_LIMIT_S = 12.0
_SUPERVISOR_LIMIT_S = 5.0  # then we no longer wait for the service's own supervisor

_MakeLaunch = Callable[[], Launch]


class LocalDriver:
    """Runs *target* below *run*; see `Driver` for what it promises."""

    def __init__(
        self,
        target: Target,
        *,
        run: Path,
        run_id: str,
        otlp: str,
        without: Sequence[str],
        seed: int,
        emit: Emit,
        clock: Clock,
        safety: Guard,
        urgent: asyncio.Event | None = None,
        looked_into: Iterable[str] = (),
    ) -> None:
        """*looked_into* are the links whose single requests faults may touch; the bytes of all others just pass."""
        self._target = target
        self._looked_into = list(looked_into)
        self._logs = run / "logs-raw"
        self._without = list(without)
        self._seed = seed
        self._guard = safety
        self._urgent = urgent or asyncio.Event()
        self._surroundings = Surroundings(HOST, otlp, run_id, environment.tenants_json(target))
        self._state: Token | None = None
        self._nursery = Nursery(guard=safety, emit=emit, clock=clock)
        self._ports: dict[str, int] = {}
        self._api = ""
        self._home: Token | None = None
        self._links: dict[str, str] = {}
        self._data: tuple[Installed, Path] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- what others ask -----------------------------------------------------------------------------------------------

    @property
    def entry_url(self) -> str:
        """The entry service's own address."""
        return self._url(self._target.entry)

    @property
    def proxy_api(self) -> str:
        """host:port of the fault proxy's API."""
        return self._api

    @property
    def service_urls(self) -> Mapping[str, str]:
        """URL of every service's own port; https where its callers come over TLS."""
        behind_tls = {ends_of(name)[1] for name, link in self._target.links.items() if link.speaks is Protocol.HTTPS}
        return {
            name: f"{'https' if name in behind_tls else 'http'}://{self._address(name)}"
            for name, spec in self._target.services.items()
            if spec.kind is ServiceKind.COMMAND
        }

    @property
    def identities(self) -> str | None:
        """Folder of each {service}'s identity; None where the target has none."""
        pattern = self._target.identities
        return pattern.replace("{state}", self._surroundings.state) if pattern else None

    @property
    def metrics_endpoints(self) -> Mapping[str, str]:
        """URL of each service's metrics."""
        services = self._target.services.items()
        return {
            name: self._url_at(name, spec.metrics)
            for name, spec in services
            if spec.kind is ServiceKind.COMMAND and spec.metrics
        }

    @property
    def pids(self) -> Mapping[str, int]:
        """Every process that runs now, databases and the fault proxy included."""
        return {name: running.pid for name, running in self._nursery.running.items()}

    @property
    def addresses(self) -> Mapping[str, str]:
        """host:port of every service."""
        return {name: self._address(name) for name in self._target.services}

    # -- what faults ask, from threads -------------------------------------------------------------------------------

    def processes_of(self, service: str) -> Sequence[psutil.Process]:
        """Return the service's processes: what its command started, below the supervisor if it has one."""
        running = self._nursery.running.get(service)
        if running is None or running.code is not None:
            return []
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(running.pid)
            below = [child for child in leader.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
            return below if self._target.services[service].supervised else [leader, *below]
        return []

    def expect_death(self, service: str) -> None:
        """Let the service die without ending the run."""
        if not self._target.services[service].supervised:
            self._nursery.running[service].is_expected_to_end = True

    def revive(self, service: str) -> str:
        """Start the service again if its process is gone, and wait until it serves; return why it does not."""
        assert self._loop is not None
        done = asyncio.run_coroutine_threadsafe(self._revive(service), self._loop)
        try:
            return done.result(_REVIVE_LIMIT_S)
        except TimeoutError:
            done.cancel()
            return f"{service} does not serve within {_REVIVE_LIMIT_S:g}s"

    async def _revive(self, service: str) -> str:
        running = self._nursery.running.get(service)
        try:
            if running is not None and running.code is None:
                if await self._is_ready(running, within_s=_SUPERVISOR_LIMIT_S):
                    return ""
                await self._nursery.stop(running, polite_s=0, urgent=self._urgent)
            running = await self._nursery.start(self._launch_again(service))
            await self._until_ready(running, limit_s=_REVIVE_LIMIT_S)
        except (TargetError, PortTakenError) as problem:
            return str(problem)
        return ""

    async def _is_ready(self, running: Running, *, within_s: float) -> bool:
        with contextlib.suppress(TargetError, PortTakenError):
            await self._until_ready(running, limit_s=within_s)
            return True
        return False

    async def _until_ready(self, running: Running, *, limit_s: float) -> None:
        name = running.launch.name
        async with aiohttp.ClientSession(trust_env=False) as client:
            ask = self._ask(name, client)
            await until_ready(running, ask, port=self._ports[name], host=HOST, limit_s=limit_s)
        running.is_expected_to_end = False

    def _launch_again(self, service: str) -> Launch:
        is_database = self._target.services[service].kind is ServiceKind.POSTGRES
        return self._database_again(service) if is_database else self._service_launch(service, self._links)

    def _database_again(self, service: str) -> Launch:
        assert self._data is not None
        installed, template = self._data
        return self._database_launch(installed, service, template.parent / service)

    def database_url(self, service: str) -> str:
        """Return the superuser's URL of a database."""
        user, database = postgres_server.SUPERUSER, self._target.services[service].database
        return f"postgresql://{user}@{self._address(service)}/{database}"

    def url_at(self, service: str, place: str) -> str:
        """Return the URL of "/path" or "PORT:/path" of a service."""
        return self._url_at(service, place)

    async def first_crash(self) -> TargetError:
        """Return when a process ends that should not have."""
        await self._nursery.crash.wait()
        return crash_of(self._nursery.crashed[0])

    # -- start ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything and wait until all of it is ready; TargetError or UsageError where that cannot be."""
        self._loop = asyncio.get_running_loop()
        environment.check_placeholders(self._target, self._surroundings)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._make_state()
        further = [f"{name}:{port}" for name, spec in self._target.services.items() for port in spec.ports]
        self._ports = free_ports(HOST, [*self._target.services, *further])
        links = asyncio.create_task(self._start_proxy())
        databases = asyncio.create_task(self._make_data())
        async with aiohttp.ClientSession(trust_env=False) as client:
            ready = [self._bring_up(name, links, databases, client) for name in self._target.services]
            await together(ready, prerequisites=[links, databases], watch=self._until_crash())

    def _make_state(self) -> None:
        """Make the folder that the services share; it is gone when the run is."""
        folder = Path(tempfile.mkdtemp(prefix="harness-state-"))
        self._state = self._guard.folder(folder)
        self._surroundings = replace(self._surroundings, state=str(folder))

    async def _start_proxy(self) -> dict[str, str]:
        """Start the fault proxy; return the address that callers get for each link."""
        log = self._logs / f"{fault_proxy.NAME}.log"
        _, self._api = await fault_proxy.start_proxy(
            self._nursery, seed=self._seed, log=log, environment=self._plain_environment()
        )
        await asyncio.to_thread(self._guard.proxy, self._api)
        upstreams = {link: self._address(ends_of(link)[1]) for link in self._target.links}
        self._links = await fault_proxy.make_links(self._api, upstreams)
        await fault_proxy.describe_links(self._api, self._target, self._looked_into, self.identities)
        return self._links

    async def _make_data(self) -> tuple[Installed, Path] | None:
        """Run initdb, where the target has databases at all."""
        if all(spec.kind is not ServiceKind.POSTGRES for spec in self._target.services.values()):
            return None
        installed = await asyncio.to_thread(lambda: prepare(find_postgres()))
        home = postgres_server.make_home(installed)
        self._home = self._guard.folder(home)
        self._data = installed, await postgres_server.make_template(installed, home, self._plain_environment())
        return self._data

    async def _bring_up(
        self,
        name: str,
        links: "asyncio.Task[dict[str, str]]",
        databases: "asyncio.Task[tuple[Installed, Path] | None]",
        client: aiohttp.ClientSession,
    ) -> None:
        """Start one service and wait until it is ready; a port that is taken costs a try."""
        if self._target.services[name].kind is ServiceKind.POSTGRES:
            made = await asyncio.shield(databases)
            assert made is not None
            installed, template = made
            data = await postgres_server.copy_template(installed, template, name, self._plain_environment())
            await self._with_a_free_port(name, lambda: self._database_launch(installed, name, data), client)
        else:
            await asyncio.shield(databases)  # initdb is soon done if eight services do not fight it for the processors
            addresses = await asyncio.shield(links)
            await self._with_a_free_port(name, lambda: self._service_launch(name, addresses), client)

    async def _with_a_free_port(self, name: str, launch: _MakeLaunch, client: aiohttp.ClientSession) -> None:
        for _ in range(_PORT_TRIES):
            running = await self._nursery.start(launch())
            try:
                return await until_ready(running, self._ask(name, client), port=self._ports[name], host=HOST)
            except PortTakenError:
                await self._nursery.stop(running, polite_s=0, urgent=self._urgent)
                await self._move(name)
        msg = f"{name}: {_PORT_TRIES} free ports in turn were taken by somebody else before it could bind them"
        raise TargetError(msg, hint="is something here opening ports without end?")

    async def _move(self, name: str) -> None:
        """Give a service another port; its links lead there, and no caller notices."""
        self._ports |= free_ports(HOST, [name, *(f"{name}:{port}" for port in self._target.services[name].ports)])
        for link in self._target.links:
            if ends_of(link)[1] == name and self._api:
                await fault_proxy.move_upstream(self._api, link, self._address(name))

    def _service_launch(self, name: str, addresses: Mapping[str, str]) -> Launch:
        further = {port: self._ports[f"{name}:{port}"] for port in self._target.services[name].ports}
        values = self._surroundings.placeholders(name, self._ports[name], further)
        return Launch(
            name,
            environment.command_of(self._target, name, values),
            environment.environment_of(
                self._target, name, values, links=addresses, without=self._without, marker=self._guard.marker
            ),
            self._logs / f"{name}.log",
        )

    def _database_launch(self, installed: Installed, name: str, data: Path) -> Launch:
        return postgres_server.server_launch(
            installed,
            name=name,
            data=data,
            port=self._ports[name],
            log=self._logs / f"{name}.log",
            environment=self._plain_environment(),
        )

    def _ask(self, name: str, client: aiohttp.ClientSession) -> Ask:
        is_database = self._target.services[name].kind is ServiceKind.POSTGRES
        return self._ask_database(name) if is_database else self._ask_http(name, client)

    def _ask_http(self, name: str, client: aiohttp.ClientSession) -> Ask:
        ready = self._target.services[name].ready
        return ask_tcp(HOST, self._ports[name]) if ready == READY_TCP else ask_http(client, self._url_at(name, ready))

    def _ask_database(self, name: str) -> Ask:
        database, port = self._target.services[name].database or "", self._ports[name]

        async def attempt() -> bool:
            await postgres_server.make_database(HOST, port, database)
            return await postgres_server.is_serving(HOST, port, database)

        return ask_database(attempt)

    async def _until_crash(self) -> None:
        raise await self.first_crash()

    # -- stop ----------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop services first, then what they stand on, then remove the data. Bounded: about eight seconds."""
        running = list(self._nursery.running.values())
        for process in running:
            process.is_expected_to_end = True  # all, before the first one falls and takes others with it
        services = [p for p in running if self._is_service(p.launch.name)]
        await self._stop_all(services)
        await self._stop_all([p for p in running if p not in services])
        await self._remove_data()

    async def _stop_all(self, processes: Sequence[Running]) -> None:
        stops = [self._nursery.stop(p, polite_s=_POLITE_S, urgent=self._urgent) for p in processes]
        await asyncio.gather(*stops)

    def _is_service(self, name: str) -> bool:
        spec = self._target.services.get(name)
        return spec is not None and spec.kind is ServiceKind.COMMAND

    async def _remove_data(self) -> None:
        for folder in (self._home, self._state):
            if folder is not None:
                await asyncio.to_thread(self._guard.undo, folder)
        self._home = self._state = None

    # -- addresses -----------------------------------------------------------------------------------------------------

    def _address(self, name: str) -> str:
        return f"{HOST}:{self._ports.get(name, 0)}"

    def _url_at(self, name: str, place: str) -> str:
        """Return the URL of "/path" or "PORT:/path" of a service."""
        port, path = split_port(place)
        return f"http://{HOST}:{self._ports.get(f'{name}:{port}' if port else name, 0)}{path}"

    def _url(self, name: str) -> str:
        return f"http://{self._address(name)}"

    def _plain_environment(self) -> dict[str, str]:
        """What a program that is no service of the target gets."""
        return {**environment.inherited(), **self._guard.marker}
