"""What `kill_faults.py` breaks: a light victim for each kind of fault, and how to see what is left of it."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import nats
import psutil
import yaml
from nats.js.api import StreamConfig

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Setting
from harness.drivers.ports import free_ports
from harness.faults.kinds.broker_calls import MARK
from harness.faults.kinds.catalogue import why_kind_missing
from harness.faults.kinds.kernel_acts import TableMade, has_table
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.model.files.fault_kinds.declared import every_kind
from harness.model.files.fault_kinds.row import FaultKind
from harness.model.files.target import Target
from harness.model.run.capabilities import Capability
from harness.model.run.clock import SteadyClock
from tests.faults.conftest import Echo, RealProxy
from tests.faults.foreign import Foreign
from tests.faults.support import LINK, wait_until

Left = list[str]
_DESCRIPTORS, _MEMORY = psutil.RLIMIT_NOFILE, psutil.RLIMIT_AS


@dataclass(frozen=True)
class Rig:
    """One kind of fault, ready to be applied in any of several slots that do not disturb each other."""

    name: str
    fault: Mapping[str, Any]
    where: Callable[[int], dict[str, Any]]
    left: Callable[[int, Path], Left]
    lapses: bool = False  # the proxy that holds it undoes it by itself
    one_at_a_time: bool = False

    @property
    def shows(self) -> bool:
        """True where `left` sees the fault while it is in place."""
        return self.name not in _NOTHING_TO_SEE


class World:
    """Everything that can be broken; each part is started when it is first needed, and ended by `close`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="harness-rigs-"))
        self._on_close: list[Callable[[], Any]] = []
        self._lock = threading.RLock()
        self._victims: dict[int, subprocess.Popen[bytes]] = {}
        self._limits: dict[int, tuple[Any, Any]] = {}

    def close(self) -> None:
        """End all, latest first."""
        for end in reversed(self._on_close):
            with contextlib.suppress(Exception):
                end()
        subprocess.run(["rm", "-rf", str(self._folder)], check=False)

    @cache  # noqa: B019  the world lives as long as the program
    def proxy(self, slot: int) -> RealProxy:  # noqa: ARG002
        """Return the embedded proxy of a slot, with a lease of its own."""
        proxy = RealProxy(Echo())
        proxy.look_into()
        self._on_close.append(proxy.stop)
        return proxy

    @cache  # noqa: B019
    def foreign(self, mode: str, slot: int) -> Foreign:  # noqa: ARG002
        """Return the foreign Toxiproxy of a slot, whose DELETE hangs."""
        server = Foreign(mode)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._on_close.append(server.shutdown)
        return server

    def victim(self, slot: int) -> psutil.Process:
        """Return a process that may be hurt; one that died is started again, as a supervisor would."""
        with self._lock:
            if slot not in self._victims or self._victims[slot].poll() is not None:
                command = [sys.executable, "-c", "import time; time.sleep(100_000)"]
                self._victims[slot] = subprocess.Popen(command, start_new_session=True)
                self._on_close.append(self._victims[slot].kill)
                process = psutil.Process(self._victims[slot].pid)
                self._limits[slot] = (process.rlimit(_DESCRIPTORS), process.rlimit(_MEMORY))
            return psutil.Process(self._victims[slot].pid)

    def limits_as_before(self, slot: int) -> bool:
        """Say whether the victim may use as much as when it was started."""
        process = self.victim(slot)
        return (process.rlimit(_DESCRIPTORS), process.rlimit(_MEMORY)) == self._limits[slot]

    @cache  # noqa: B019
    def _flag_server(self) -> tuple[str, dict[str, Any]]:
        held: dict[str, Any] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"value": held.get(self.path, 5)})

            def do_PUT(self) -> None:
                held[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["value"]
                self.answer({})

            def answer(self, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._on_close.append(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}", held

    def flags(self, slot: int) -> tuple[str, dict[str, Any]]:
        """Return URL and values of a service that holds flags; each slot has its own path."""
        with self._lock:
            url, held = self._flag_server()
        return f"{url}/slot-{slot}", held

    @cache  # noqa: B019
    def broker(self, slot: int) -> str:  # noqa: ARG002
        """Return host:port of a broker with the stream ORDERS."""
        (port,) = free_ports("127.0.0.1", ["broker"]).values()
        server = Path(sys.executable).parent / "nats-server"
        command = [str(server), "--addr", "127.0.0.1", "--port", str(port), "--jetstream"]
        command += ["--store_dir", str(self._folder / f"nats-{port}")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._on_close.append(process.kill)
        config = StreamConfig(name="ORDERS", subjects=["orders.>"])
        address = f"127.0.0.1:{port}"
        wait_until(lambda: _ask_broker(address, lambda stream: stream.add_stream(config)), "the broker is ready")
        return address

    @cache  # noqa: B019
    def databases(self, count: int) -> list[str]:
        """Return the superuser's URLs of databases that each have a table `items` with an index."""
        services: dict[str, Any] = {f"db-{n}": {"kind": "postgres", "database": f"shop{n}"} for n in range(count)}
        idle = {"command": ["{python}", "-c", "import time; time.sleep(100_000)"], "ready": "tcp", "metrics": None}
        web = "import http.server as h, os; h.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), "
        idle["command"] = ["{python}", "-c", f"{web}h.SimpleHTTPRequestHandler).serve_forever()"]
        target = Target.model_validate(
            {
                "name": "rigs",
                "entry": "idle",
                "environment": {"PORT": "{port}"},
                "services": {"idle": idle, **services},
                "tenants": {"acme": {}},
                "flows": {"look": {"steps": [{"name": "look", "path": "/"}]}},
            }
        )
        loop, ended = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        run = self._folder / "databases"
        run.mkdir()
        clock = SteadyClock()
        guard = {"emit": lambda _: None, "clock": clock}
        safety = Safety(run, run_id="rigs", lease_s=60, **guard)
        driver = driver_for(target, Setting(run=run, run_id="rigs", seed=1, guard=safety, **guard))

        def do(act: Any) -> None:
            asyncio.run_coroutine_threadsafe(act, loop).result(60)

        self._on_close += [ended.set, lambda: do(safety.dismiss()), lambda: do(driver.stop())]
        do(safety.start())
        do(driver.start())
        urls = [driver.database_url(name) for name in services]
        for url in urls:
            query(url, "CREATE TABLE items (number int); CREATE INDEX items_by_number ON items (number)")
        return urls


def query(url: str, sql: str) -> Any:
    """Run statements, or fetch one value."""

    async def go() -> Any:
        connection = await asyncpg.connect(url, timeout=3)
        try:
            return await (connection.fetchval(sql) if sql.startswith("SELECT") else connection.execute(sql))
        finally:
            await connection.close()

    return asyncio.run(go())


def _ask_broker(address: str, question: Callable[[Any], Any]) -> Any:
    async def talk() -> Any:
        client = await nats.connect(f"nats://{address}", error_cb=_silent)
        try:
            return await question(client.jetstream(timeout=5))
        finally:
            await client.close()

    with contextlib.suppress(OSError, nats.errors.Error):
        return asyncio.run(asyncio.wait_for(talk(), 5))


async def _silent(_: Exception) -> None:
    pass


def rigs_of(world: World, slots: int) -> tuple[dict[str, Rig], dict[str, str]]:
    """Return a rig for each kind of fault that leaves anything to undo, by name; and why others are not available.

    A kind on a link needs no rig of its own: its example says how to apply it, and the proxy what is left.
    """
    rigs, absent = {}, {}
    for kind in every_kind().values():
        if not kind.acts:
            continue
        if why := why_kind_missing(kind):
            absent[kind.name] = why
        elif rig := _rig_of(world, slots, kind):
            rigs[kind.name] = rig
        else:
            absent[kind.name] = "it has no rig: add one to benchmarks/fault_rigs.py"
    return rigs, absent


def foreign_rigs(world: World) -> dict[str, Rig]:
    """Return rigs of a Toxiproxy that is not ours, whose DELETE hangs."""
    rigs = [_foreign(world, mode) for mode in ("sticky", "stuck")]
    return {rig.name: rig for rig in rigs}


def _rig_of(world: World, slots: int, kind: FaultKind) -> Rig | None:
    if kind.place.key == "link":
        return _on_link(world, kind)
    if kind.name in _ON_VICTIMS:
        return _on_victim(world, kind.name, _ON_VICTIMS[kind.name])
    if kind.name in _ON_DATABASES:
        return _on_database(world, slots, kind.name, _ON_DATABASES[kind.name])
    others = {
        "flag": Rig(
            "flag",
            {"flag": {"name": "canary", "value": 100}},
            lambda n: {"url": world.flags(n)[0]},
            lambda n, _: [f"{p}={v}" for p, v in world.flags(n)[1].items() if f"slot-{n}/" in p and v != 5],
        ),
        "poison": Rig(
            "poison",
            {"service": "broker", "poison": {"subject": "orders.acme", "count": 2}},
            lambda n: {"url": f"http://{world.broker(n)}"},
            lambda n, _: _poison(world.broker(n)),
        ),
    }
    return others.get(kind.name)


def _on_link(world: World, kind: FaultKind) -> Rig:
    """Apply the example of a kind to the link of a slot's proxy; whatever it placed is listed there."""
    fault = {**yaml.safe_load("{" + kind.example + "}"), "link": LINK}

    def left(slot: int, run: Path) -> Left:
        return [*world.proxy(slot).toxics(), *_rules(world, slot), *_down(world, slot), *_tables(run)]

    in_kernel = Capability.PACKET_FILTER in kind.needs  # which knows no lease
    return Rig(kind.name, fault, lambda slot: _embedded(world, slot), left, lapses=not in_kernel)


_ON_VICTIMS: Mapping[str, Mapping[str, Any]] = {
    "kill": {"kill": True},
    "restart": {"restart": True},
    "pause": {"pause": True},
    "cpu_stress": {"cpu_stress": 1},
    "memory_limit": {"memory_limit": "400MB"},
    "fd_limit": {"fd_limit": 40},
}
_ON_DATABASES: Mapping[str, Mapping[str, Any]] = {
    "drop_index": {"drop_index": "items_by_number"},
    "lock_table": {"lock_table": "items"},
    "exhaust_connections": {"exhaust_connections": True},
    "terminate_backends": {"terminate_backends": "100ms"},
}
_NOTHING_TO_SEE = ("kill", "restart", "cpu_stress", "terminate_backends")
"""Kinds of which the victim itself shows nothing while they are in place."""


def _embedded(world: World, slot: int) -> dict[str, Any]:
    return {"api": world.proxy(slot).api, "is_embedded": True}


def _down(world: World, slot: int) -> Left:
    return [] if world.proxy(slot).calls.is_enabled(LINK) else ["the link is down"]


def _rules(world: World, slot: int) -> Left:
    return [str(rule["name"]) for rule in world.proxy(slot).calls.rules()]


def _foreign(world: World, mode: str) -> Rig:
    def left(slot: int, _: Path) -> Left:
        proxy = world.foreign(mode, slot).proxy(LINK)
        return [str(toxic["name"]) for toxic in proxy["toxics"]] + ([] if proxy["enabled"] else ["the link is down"])

    fault = {"link": LINK, "latency": "50ms"}
    return Rig(f"foreign_{mode}", fault, lambda slot: {"api": world.foreign(mode, slot).address}, left)


def _on_victim(world: World, name: str, fault: Mapping[str, Any]) -> Rig:
    def left(slot: int, _: Path) -> Left:
        process = world.victim(slot)
        stopped = ["stopped"] if process.status() == psutil.STATUS_STOPPED else []
        return stopped + ([] if world.limits_as_before(slot) else ["a limit is lowered"])

    return Rig(name, {"service": "victim", **fault}, lambda slot: {"pids": [world.victim(slot).pid]}, left)


def _on_database(world: World, slots: int, name: str, fault: Mapping[str, Any]) -> Rig:
    def left(slot: int, _: Path) -> Left:
        url = world.databases(slots)[slot]
        try:
            index = query(url, "SELECT to_regclass('items_by_number')::text")
            locks = query(url, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND database <> 0")
        except (OSError, asyncpg.PostgresError) as problem:
            return [f"no connection: {problem}"]
        return ([] if index else ["the index is gone"]) + (["a lock is held"] if locks else [])

    return Rig(name, {"service": "db", **fault}, lambda slot: {"database": world.databases(slots)[slot]}, left)


def _poison(address: str) -> Left:
    async def count(stream: Any) -> list[str]:
        state = (await stream.stream_info("ORDERS")).state
        found = []
        for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
            with contextlib.suppress(nats.js.errors.NotFoundError):
                message = await stream.get_msg("ORDERS", sequence)
                found += [f"message {sequence}"] if MARK in (message.headers or {}) else []
        return found

    left = _ask_broker(address, count)
    return ["the broker does not answer"] if left is None else list(left)


def _tables(run: Path) -> Left:
    lines = (run / "undo.jsonl").read_text().splitlines() if (run / "undo.jsonl").exists() else []
    made = [json.loads(line) for line in lines if f'"{TableMade.what}"' in line]
    return [entry["table"] for entry in made if "table" in entry and has_table(entry["table"])]


def unsettled(run: Path) -> Left:
    """Return what the journal of a run still holds."""
    return [entry.act.what for entry in outstanding(run / "undo.jsonl")]
