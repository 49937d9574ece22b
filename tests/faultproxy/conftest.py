"""The black-box suite speaks to one proxy server over HTTP and TCP only.

It starts the embedded one, or takes any Toxiproxy server: `pytest tests/faultproxy --server http://HOST:PORT` (or
TOXIPROXY_URL). Cases marked `better_than_toxiproxy` hold where Toxiproxy 2.12 does not, and say what it does instead;
`embedded` ones need our own paths or process. Both are skipped on a foreign server.
"""

import http.client
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

HANG_S = 20.0  # far beyond anything that works
QUIET_S = 0.05  # how long a socket must stay silent to count as silent; a slow machine can only hide a failure


def pytest_addoption(parser: pytest.Parser) -> None:
    foreign = os.environ.get("TOXIPROXY_URL")
    parser.addoption("--server", "--toxiproxy-url", dest="server", default=foreign, help="API of the server to test")
    minutes = float(os.environ.get("FAULTPROXY_SOAK_MINUTES", "0"))
    parser.addoption("--soak-minutes", type=float, default=minutes, help="how long to make random calls and traffic")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "better_than_toxiproxy(why): what Toxiproxy 2.12 does instead")
    config.addinivalue_line("markers", "embedded: needs the embedded proxy's own paths or process")


def _foreign_url(config: pytest.Config) -> str | None:
    return config.getoption("server", default=os.environ.get("TOXIPROXY_URL"))  # unknown when run from above


@pytest.fixture(autouse=True)
def _fits_the_server(request: pytest.FixtureRequest) -> None:
    if not _foreign_url(request.config):
        return
    if request.node.get_closest_marker("embedded"):
        pytest.skip("needs the embedded proxy")
    if better := request.node.get_closest_marker("better_than_toxiproxy"):
        pytest.skip(f"Toxiproxy differs: {better.args[0]}")


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """One request per connection; `body` is JSON unless it is bytes."""

    def __init__(self, address: str) -> None:
        self.address = address

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection(self.address, timeout=HANG_S)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.read(), response.getheader("Content-Type"))
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Reply:
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any = None) -> Reply:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> Reply:
        return self.call("DELETE", path)


class Server:
    """The embedded proxy as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "harness.faultproxy", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.api = Api(json.loads(self.process.stdout.readline())["api"])

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(HANG_S)
        finally:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="session")
def _address(request: pytest.FixtureRequest) -> Iterator[str]:
    foreign = _foreign_url(request.config)
    if foreign:
        yield urlsplit(foreign).netloc
        return
    server = Server("--seed", "7")
    yield server.api.address
    assert server.stop() == 0


@pytest.fixture
def api(_address: str) -> Iterator[Api]:
    """The server under test, without proxies before and after."""
    api = Api(_address)
    _clear(api)
    yield api
    _clear(api)


def _clear(api: Api) -> None:
    for name in api.get("/proxies").json:
        assert api.delete(f"/proxies/{name}").status == 204


@pytest.fixture
def start_server() -> Iterator[Any]:
    """Start further embedded servers: `start_server("--seed", "1")`."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Server:
            server = Server(*arguments)
            stack.callback(server.stop)
            return server

        yield start


class Wire:
    """A socket with the questions that tests ask of it."""

    def __init__(self, raw: socket.socket) -> None:
        raw.settimeout(HANG_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = raw

    def send(self, data: bytes) -> None:
        self.raw.sendall(data)

    def read(self, size: int) -> bytes:
        """Read exactly *size* bytes, fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < size and (more := self.raw.recv(min(65536, size - len(data)))):
            data += more
        return bytes(data)

    def read_all(self) -> bytes:
        data = bytearray()
        while more := self.raw.recv(65536):
            data += more
        return bytes(data)

    def is_silent(self) -> bool:
        return not select.select([self.raw], [], [], QUIET_S)[0]

    def fill(self, data: bytes, *, most: int = 64_000_000) -> int:
        """Send until nobody takes any more; return how many bytes went, which must be fewer than *most*."""
        self.raw.setblocking(False)
        sent = 0
        while select.select([], [self.raw], [], QUIET_S)[1]:
            sent += self.raw.send(data)
            assert sent < most, "nothing slows the sender down"
        self.raw.settimeout(HANG_S)
        return sent

    def half_close(self) -> None:
        self.raw.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.raw.close()

    def ending(self) -> str:
        """Say how the stream ended, after any bytes: "FIN" or "RST"."""
        try:
            self.read_all()
        except ConnectionResetError:
            return "RST"
        return "FIN"

    def close(self) -> None:
        self.raw.close()


class Link:
    """A proxy in front of a listener that the test accepts from by hand."""

    def __init__(self, api: Api, name: str, stack: ExitStack) -> None:
        self.api, self.name, self._stack = api, name, stack
        self._raws: list[socket.socket] = []
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(HANG_S)
        self.upstream = f"127.0.0.1:{self.listener.getsockname()[1]}"
        created = api.post("/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": self.upstream})
        assert created.status == 201, created
        self.listen = created.json["listen"]

    @property
    def path(self) -> str:
        return f"/proxies/{self.name}"

    def dial(self) -> Wire:
        host, _, port = self.listen.rpartition(":")
        return self._keep(socket.create_connection((host, int(port)), HANG_S))

    def accept(self) -> Wire:
        return self._keep(self.listener.accept()[0])

    def open(self) -> tuple[Wire, Wire]:
        """Return both ends of a new connection through the proxy."""
        client = self.dial()
        return client, self.accept()

    def add(self, kind: str, *, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> str:
        """Add a toxic and return its path."""
        body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        added = self.api.post(f"{self.path}/toxics", body)
        assert added.status == 200, added
        return f"{self.path}/toxics/{added.json['name']}"

    def close_wires(self) -> None:
        for raw in self._raws:
            raw.close()
        self._raws.clear()

    def _keep(self, raw: socket.socket) -> Wire:
        self._raws.append(raw)
        self._stack.callback(raw.close)
        return Wire(raw)


@pytest.fixture
def make_link(api: Api) -> Iterator[Any]:
    """Make a proxied link: `make_link("name")`."""
    with ExitStack() as stack:
        yield lambda name="link", server=api: Link(server, name, stack)


@pytest.fixture
def link(make_link: Any) -> Link:
    """One proxied link."""
    return make_link()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
