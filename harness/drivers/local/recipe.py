"""How each process of a local stack is started, and how it is asked whether it is ready."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import aiohttp

from harness.drivers import environment, postgres_server
from harness.drivers.addresses import Addresses
from harness.drivers.driver import Setting
from harness.drivers.environment import Surroundings
from harness.drivers.guard import Token
from harness.drivers.postgres import Installed, find_postgres, prepare
from harness.drivers.process import Launch
from harness.drivers.readiness import Ask, ask_database, ask_http, ask_tcp
from harness.model.files.target import READY_TCP, ServiceKind, Target

_NOBODY_LISTENS = 9  # the discard port: traces that nobody wants are dropped


class Recipe:
    """Turns a service's name into what is started for it; holds the folders that the services need."""

    def __init__(self, target: Target, setting: Setting, addresses: Addresses) -> None:
        self._target = target
        self._setting = setting
        self._addresses = addresses
        self._logs = setting.run / "logs-raw"
        self._surroundings = Surroundings(addresses.host, "", setting.run_id, environment.tenants_json(target))
        self._folders: list[Token] = []
        self._data: tuple[Installed, Path] | None = None

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self._logs

    @property
    def state(self) -> str:
        """The folder that the services share."""
        return self._surroundings.state

    def is_database(self, name: str) -> bool:
        """Say whether a service is a database of ours."""
        return self._target.services[name].kind is ServiceKind.POSTGRES

    def plain_environment(self) -> dict[str, str]:
        """Return what a program that is no service of the target gets."""
        return {**environment.inherited(), **self._setting.guard.marker}

    # -- folders -------------------------------------------------------------------------------------------------------

    def lay_out(self, otlp: str) -> None:
        """Check that everything can be filled in, and make the folders of logs and state."""
        self._surroundings = replace(
            self._surroundings, otlp=otlp or f"http://{self._addresses.host}:{_NOBODY_LISTENS}"
        )
        environment.check_placeholders(self._target, self._surroundings)
        self._logs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="harness-state-"))
        self._folders.append(self._setting.guard.folder(folder))
        self._surroundings = replace(self._surroundings, state=str(folder))

    async def make_data(self) -> None:
        """Run initdb, where the target has databases at all."""
        if not any(self.is_database(name) for name in self._target.services):
            return
        installed = await asyncio.to_thread(lambda: prepare(find_postgres()))
        home = postgres_server.make_home(installed)
        self._folders.append(self._setting.guard.folder(home))
        self._data = installed, await postgres_server.make_template(installed, home, self.plain_environment())

    async def copy_data(self, name: str) -> None:
        """Give a database its data."""
        installed, template = self._made()
        await postgres_server.copy_template(installed, template, name, self.plain_environment())

    async def remove_folders(self) -> None:
        """Remove what `lay_out` and `make_data` made."""
        folders, self._folders = self._folders, []
        for folder in reversed(folders):
            await asyncio.to_thread(self._setting.guard.undo, folder)

    def _made(self) -> tuple[Installed, Path]:
        assert self._data is not None
        return self._data

    # -- launches ------------------------------------------------------------------------------------------------------

    def launch_of(self, name: str) -> Launch:
        """Return how to start a service, at its address of now."""
        return self._database(name) if self.is_database(name) else self._service(name)

    def _service(self, name: str) -> Launch:
        here, of = self._addresses, self._target
        values = self._surroundings.placeholders(name, here.port(name), here.further(name))
        return Launch(
            name,
            environment.command_of(of, name, values),
            environment.environment_of(
                of,
                name,
                values,
                links=here.links,
                without=self._setting.without,
                marker=self._setting.guard.marker,
            ),
            self._log(name),
        )

    def _database(self, name: str) -> Launch:
        installed, template = self._made()
        return postgres_server.server_launch(
            installed,
            name=name,
            data=template.parent / name,
            host=self._addresses.host,
            port=self._addresses.port(name),
            log=self._log(name),
            environment=self.plain_environment(),
        )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    # -- readiness -----------------------------------------------------------------------------------------------------

    def ask(self, name: str, client: aiohttp.ClientSession) -> Ask:
        """Return how a service is asked whether it is ready."""
        if self.is_database(name):
            return self._ask_database(name)
        return ask_ready(self._target, self._addresses, name, client)

    def _ask_database(self, name: str) -> Ask:
        host, port = self._addresses.host, self._addresses.port(name)
        database = self._target.services[name].database or ""

        async def attempt() -> bool:
            await postgres_server.make_database(host, port, database)
            return await postgres_server.is_serving(host, port, database)

        return ask_database(attempt)


def ask_ready(target: Target, addresses: Addresses, name: str, client: aiohttp.ClientSession) -> Ask:
    """Return how a service that is no database is asked whether it is ready."""
    ready = target.services[name].ready
    if ready == READY_TCP:
        return ask_tcp(addresses.host, addresses.port(name))
    return ask_http(client, addresses.url_at(name, ready))
