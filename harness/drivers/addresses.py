"""Where everything of a local stack listens: services, their further ports, links, the fault proxy's API."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.drivers.ports import free_ports
from harness.drivers.postgres_server import SUPERUSER
from harness.model.files.target import Protocol, Service, ServiceKind, Target, ends_of, split_port

LOOPBACK = "127.0.0.1"


@dataclass
class Addresses:
    """The addresses of one stack of *target*, all at *host*."""

    target: Target
    host: str = LOOPBACK
    ports: dict[str, int] = field(default_factory=dict)
    """Of a service by its name, of a further port by "SERVICE:PORT"."""
    links: dict[str, str] = field(default_factory=dict)
    """host:port that callers get for each link."""
    proxy_api: str = ""

    def choose(self) -> None:
        """Choose a free port for everything."""
        self.ports = free_ports(self.host, [part for name in self.target.services for part in self._parts(name)])

    def move(self, name: str) -> None:
        """Choose other ports for one service."""
        self.ports |= free_ports(self.host, self._parts(name))

    def _parts(self, name: str) -> list[str]:
        return [name, *(f"{name}:{port}" for port in self.target.services[name].ports)]

    def further(self, name: str) -> dict[str, int]:
        """Return the further ports of a service by their names."""
        return {port: self.ports.get(f"{name}:{port}", 0) for port in self.target.services[name].ports}

    def port(self, name: str) -> int:
        """Return the main port of a service; 0 before one was chosen."""
        return self.ports.get(name, 0)

    def address(self, name: str) -> str:
        """Return host:port of a service."""
        return f"{self.host}:{self.port(name)}"

    def all(self) -> dict[str, str]:
        """Return host:port of every service."""
        return {name: self.address(name) for name in self.target.services}

    def upstreams(self) -> dict[str, str]:
        """Return where each link leads."""
        return {link: self.address(ends_of(link)[1]) for link in self.target.links}

    @property
    def entry_url(self) -> str:
        """URL of the entry service."""
        return f"http://{self.address(self.target.entry)}"

    def url_at(self, name: str, place: str) -> str:
        """Return the URL of "/path" or "PORT:/path" of a service."""
        port, path = split_port(place)
        return f"http://{self.host}:{self.ports.get(f'{name}:{port}' if port else name, 0)}{path}"

    def service_urls(self) -> dict[str, str]:
        """Return the URL of every service's own port; https where its callers come over TLS."""
        links = self.target.links.items()
        behind_tls = {ends_of(name)[1] for name, link in links if link.speaks is Protocol.HTTPS}
        return {
            name: f"{'https' if name in behind_tls else 'http'}://{self.address(name)}" for name in self._commands()
        }

    def metrics_endpoints(self) -> dict[str, str]:
        """Return the URL of each service's metrics."""
        return {name: self.url_at(name, spec.metrics) for name, spec in self._commands().items() if spec.metrics}

    def database_url(self, name: str) -> str:
        """Return the superuser's URL of a database."""
        return f"postgresql://{SUPERUSER}@{self.address(name)}/{self.target.services[name].database}"

    def _commands(self) -> Mapping[str, Service]:
        services = self.target.services.items()
        return {name: spec for name, spec in services if spec.kind is ServiceKind.COMMAND}
