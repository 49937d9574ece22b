"""Real proxies, a real program that is killed, and a registry that belongs to the test."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.faults.proxy.proxy_calls import ProxyCalls
from harness.faults.safety.registry import Registered, register
from tests.faults.support import HANG_GUARD_S, LINK


@pytest.fixture(autouse=True)
def own_registry(tmp_path_factory, monkeypatch) -> Path:
    """No test sees, or disturbs, the runs of this user."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


class Echo:
    """An upstream that says back what it hears."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._echo, args=(client,), daemon=True).start()

    def _echo(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while chunk := client.recv(4096):
                client.sendall(chunk)

    def close(self) -> None:
        self._server.close()


class RealProxy:
    """The embedded fault proxy with one link to an echo."""

    def __init__(self, echo: Echo) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.faultproxy", "--port", "0", "--seed", "1"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.api = json.loads(self.process.stdout.readline())["api"]
        self._echo = echo
        self.listen = self.add_link(LINK)

    @property
    def calls(self) -> ProxyCalls:
        return ProxyCalls(self.api, time.monotonic() + HANG_GUARD_S)

    def add_link(self, name: str) -> str:
        wanted = {"name": name, "listen": "127.0.0.1:0", "upstream": self._echo.address}
        return self.calls._call("POST", "/proxies", wanted)["listen"]

    def look_into(self, link: str = LINK) -> None:
        """Let the proxy see single requests of the link."""
        self.calls._call(
            "PUT", f"/harness/links/{quote(link, safe='')}", {"protocol": "http", "tenant": {"header": "x-tenant-id"}}
        )

    def toxics(self, link: str = LINK) -> list[str]:
        return [toxic["name"] for toxic in self.calls._call("GET", f"/proxies/{link.replace(' ', '%20')}/toxics")]

    def connect(self) -> socket.socket:
        host, port = self.listen.split(":")
        return socket.create_connection((host, int(port)), timeout=HANG_GUARD_S)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def proxy() -> Iterator[RealProxy]:
    echo = Echo()
    real = RealProxy(echo)
    yield real
    real.stop()
    echo.close()


@pytest.fixture
def dead_run(tmp_path):
    """Return a function that writes the journal of a run whose harness and reaper are dead."""
    dead = subprocess.Popen(["true"])
    dead.wait()

    def write(*lines, end=b"\n"):
        path = tmp_path / "undo.jsonl"
        path.write_bytes(
            b"\n".join(line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass") for line in lines)
            + end
        )
        register(Registered("run-d", str(tmp_path), str(path), harness=f"{dead.pid}:1.00", reaper=""))
        return path

    return write
