"""The fault proxy as a process: arguments, start, signals, end."""

import argparse
import asyncio
import json
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.faultproxy.api import TOXIPROXY_VERSION, Api
from harness.faultproxy.clock import LoopClock
from harness.faultproxy.config_file import ConfigError, read_config
from harness.faultproxy.descriptors import raise_limit
from harness.faultproxy.errors import ApiError
from harness.faultproxy.http_server import serve_http
from harness.faultproxy.lease import Lease
from harness.faultproxy.pipe import Scratch
from harness.faultproxy.proxies import Proxies
from harness.faultproxy.proxy import Plant
from harness.faultproxy.readiness import ProxyLoop

EXIT_OK = 0
EXIT_CANNOT_SERVE = 3
EXIT_USAGE = 4

_DEFAULT_PORT = 8474  # Toxiproxy's


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve; `lease_s` takes the lease at the start, 0 leaves it to the first renewal."""

    host: str = "127.0.0.1"
    port: int = _DEFAULT_PORT
    config: Path | None = None
    seed: int = 0
    lease_s: float = 0.0


class CannotServeError(Exception):
    """The proxy cannot start; carries the exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class FaultProxy:
    """One running fault proxy within the current event loop, which must be a `ProxyLoop`."""

    def __init__(self, options: Options) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProxyLoop)
        clock = LoopClock(loop)
        self._scratch = Scratch()
        self._options = options
        self._proxies = Proxies(Plant(loop, loop.readiness, clock, options.seed, self._scratch))
        self._lease = Lease(clock, heal=self._start_healing)
        self._healing: asyncio.Task[list[ApiError]] | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen, load the config file, return the API's host:port. Raises CannotServeError."""
        options = self._options
        try:
            self._server = await serve_http(Api(self._proxies, self._lease).handle, options.host, options.port)
        except (OSError, OverflowError) as problem:
            message = f"cannot listen at {options.host}:{options.port}: {problem}; is another proxy running there?"
            raise CannotServeError(message, EXIT_CANNOT_SERVE) from None
        await self._load_config()
        if options.lease_s:
            self._lease.renew(options.lease_s)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        """Close the API, all listeners and all connections."""
        self._lease.end()
        if self._healing is not None:
            self._healing.cancel()
        self._proxies.close()
        self._scratch.close()
        if self._server is not None:
            self._server.close()

    async def _load_config(self) -> None:
        if self._options.config is None:
            return
        try:
            await self._proxies.populate(read_config(self._options.config), lambda _: None)
        except ConfigError as problem:
            raise CannotServeError(f"config file {problem}", EXIT_USAGE) from None
        except ApiError as problem:
            raise CannotServeError(f"config file {self._options.config}: {problem}", EXIT_CANNOT_SERVE) from None

    def _start_healing(self) -> None:
        if not self._proxies.is_healthy() and (self._healing is None or self._healing.done()):
            self._healing = asyncio.get_running_loop().create_task(self._proxies.heal())


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; print one line of JSON with the API's address once it listens."""
    proxy = FaultProxy(options)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        api = await proxy.start()
        print(_ready_line(api), flush=True)
        await stop.wait()
    finally:
        await proxy.close()


def _ready_line(api: str) -> str:
    """Return the line that says the API can be called, with Toxiproxy's words for those who wait for them."""
    host, _, port = api.rpartition(":")
    words = {"level": "info", "host": host, "port": port, "version": TOXIPROXY_VERSION}
    return json.dumps({"api": api, **words, "message": "Starting Toxiproxy HTTP server"})


def main(argv: Sequence[str], *, command: str = "python -m harness.faultproxy") -> int:
    """Serve as *argv* says; return 0 after a signal, 3 when the API or a proxy cannot listen, 4 for wrong usage."""
    try:
        options = _parse(argv, command)
    except SystemExit as leaving:
        return EXIT_OK if leaving.code in (0, None) else EXIT_USAGE
    raise_limit()
    try:
        with asyncio.Runner(loop_factory=ProxyLoop) as runner:
            runner.run(serve(options))
    except CannotServeError as problem:
        print(f"fault proxy: {problem}", file=sys.stderr)
        return problem.exit_code
    return EXIT_OK


def _parse(argv: Sequence[str], command: str) -> Options:
    """Every option is also known with one dash, as toxiproxy-server has it."""
    parser = argparse.ArgumentParser(
        prog=command,
        description="Serve a TCP fault proxy with Toxiproxy's HTTP API, in place of toxiproxy-server.",
        epilog="Exit codes: 0 after SIGTERM or SIGINT, 3 an address cannot be had, 4 wrong usage or config file.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    switch: dict[str, Any] = {"nargs": "?", "const": True, "default": False, "type": _switch, "metavar": "true|false"}
    add("--host", "-host", default="127.0.0.1", help="address of the API (default: %(default)s)")
    add("--port", "-port", type=int, default=_DEFAULT_PORT, help="port of the API, 0 for a free one (default: 8474)")
    add("--config", "-config", default="", help="JSON file with proxies to create at the start")
    add("--seed", "-seed", type=int, help="seed of toxicity, jitter and slices (default: random)")
    add("--lease-s", type=_lease_s, default=0.0, help="take the lease at once, for so many seconds")
    add("--proxy-metrics", "-proxy-metrics", **switch, help="accepted; they are always on")
    add("--runtime-metrics", "-runtime-metrics", **switch, help="accepted; the process has none to tell")
    add("--version", "-version", action="version", version=f"fault proxy with the API of Toxiproxy {TOXIPROXY_VERSION}")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().getrandbits(63) if given.seed is None else given.seed
    return Options(given.host, given.port, Path(given.config) if given.config else None, seed, given.lease_s)


def _switch(text: str) -> bool:
    """Go's booleans: `-proxy-metrics` and `-proxy-metrics=false`."""
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise argparse.ArgumentTypeError("must be true or false")


def _lease_s(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError("must lie between 0 and 86400 seconds")
    return value
