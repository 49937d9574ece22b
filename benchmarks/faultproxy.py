"""What the fault proxy costs, as ratios to the direct path and to Toxiproxy; prints one table.

    python benchmarks/faultproxy.py [--quick] [--rounds 5] [--toxiproxy http://HOST:PORT]

Needs wrk and nginx (Debian: `apt-get install wrk nginx-light`): one thread of wrk asks one worker of nginx, which is
far faster than any proxy between them. All paths take turns in rounds of one second, and each ratio is taken within its
round, so that a busy neighbour hurts all of them alike; compare ratios, never absolute numbers.

Without --toxiproxy the reference is what Toxiproxy 2.12 reached with wrk on another day and a machine of the same kind
(2 cores, Debian 12): read "reached" as an estimate then.
"""

import argparse
import asyncio
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median, quantiles

SMALL_BYTES = 200
BULK_BYTES = 1_000_000


@dataclass(frozen=True)
class Case:
    """One way to load a path; `reference` is Toxiproxy's ratio to direct, `wanted` the multiple of it to reach."""

    name: str
    wrk: tuple[str, ...]
    page: str
    reference: float
    wanted: float


CASES = [
    Case("keep-alive, 1 connection", ("-c1",), "small", 0.42, 1.0),
    Case("keep-alive, 16 connections", ("-c16",), "small", 0.50, 1.0),
    Case("keep-alive, 64 connections", ("-c64",), "small", 0.37, 1.0),
    Case("1 MB bodies, 4 connections", ("-c4",), "big", 0.29, 2.0),
    Case("connection per request, 16", ("-c16", "-H", "Connection: close"), "small", 0.24, 1.4),
]


@dataclass
class Path:
    """A way to the server, and what was measured on it: requests per second and the proxy's CPU us per request."""

    name: str
    port: int
    pid: int | None = None
    share: float = 1.0  # of what is wanted of the plain TCP path
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, case: Case) -> None:
        before_s = cpu_s(self.pid)
        url = f"http://127.0.0.1:{self.port}/{case.page}"
        command = ["wrk", "-t1", "-d1s", "--timeout", "20s", *case.wrk, url]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        done = int(re.search(r"(\d+) requests in", told)[1])
        self.rates.setdefault(case.name, []).append(float(re.search(r"Requests/sec:\s*([\d.]+)", told)[1]))
        self.cpu_us.setdefault(case.name, []).append((cpu_s(self.pid) - before_s) * 1e6 / max(1, done))

    def ratio(self, case: Case, direct: "Path") -> float:
        """Return the median over the rounds of this rate by the direct one."""
        return median(a / b for a, b in zip(self.rates[case.name], direct.rates[case.name], strict=True))


def cpu_s(pid: int | None) -> float:
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 if pid else 0.0


def memory_mb(pid: int) -> float:
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def call(api: str, method: str, path: str, body: object = None) -> dict:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://{api}{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        text = reply.read()
    return json.loads(text) if text else {}


@contextmanager
def proxied(api: str, label: str, port: int, *toxics: dict, looks_into_http: bool = False) -> Iterator[int]:
    """Make a proxy before *port* for a while; give the port that it listens on.

    One that looks into HTTP has a rule that matches no request.
    """
    name = f"benchmark-{label}".replace(" ", "-")
    body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"}
    listen = call(api, "POST", "/proxies", body)["listen"]
    try:
        for toxic in toxics:
            call(api, "POST", f"/proxies/{name}/toxics", toxic)
        if looks_into_http:
            call(api, "PUT", f"/harness/links/{name}", {"protocol": "http"})
            rule = {"name": f"rule-{name}", "proxy": name, "scope": {"tenant": "nobody"}, "action": {"type": "hang"}}
            call(api, "POST", "/harness/rules", rule)
        yield int(listen.rpartition(":")[2])
    finally:
        call(api, "DELETE", f"/proxies/{name}")


# -- servers -----------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running(*command: str, **options: object) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)


NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log; worker_rlimit_nofile 30000;
events {{ worker_connections 25000; accept_mutex off; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; sendfile on; tcp_nodelay on;
  open_file_cache max=10; server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; }} }}
"""


@contextmanager
def web_server() -> Iterator[int]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        port = free_port()
        for name, size in (("small", SMALL_BYTES), ("big", BULK_BYTES)):
            pathlib.Path(folder, name).write_bytes(os.urandom(size))
        pathlib.Path(folder, "conf").write_text(NGINX.format(folder=folder, port=port))
        pathlib.Path(folder).chmod(0o755)
        with running("nginx", "-c", f"{folder}/conf", "-e", f"{folder}/log"):
            wait_for(port)
            yield port


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nginx does not start")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def swallow_all(listener: socket.socket) -> None:
    """Read what a client sends, without an answer."""
    client, _ = listener.accept()
    while client.recv(1 << 20):
        pass


def listener_pid(address: str) -> int | None:
    """The process behind a foreign server, when it is ours to see."""
    import psutil

    port = int(address.rpartition(":")[2])
    connections = psutil.net_connections("tcp")
    return next((c.pid for c in connections if c.status == "LISTEN" and c.laddr.port == port), None)


# -- speed -------------------------------------------------------------------------------------------------------------

RESERVED = 150  # descriptors that are no connection's
HTTP_SHARE = 0.5
NOTHING = ({"type": "latency", "stream": "upstream"}, {"type": "latency", "stream": "downstream"})


def speed(api: str, pid: int, foreign: str | None, *, rounds: int) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(web_server())

        def path(label: str, api: str, pid: int | None, *toxics: dict) -> Path:
            return Path(label, stack.enter_context(proxied(api, label, server, *toxics)), pid)

        direct = Path("direct", server)
        ours = [path("no toxic", api, pid), path("0 ms latency", api, pid, *NOTHING)]
        rule_port = stack.enter_context(proxied(api, "rule", server, looks_into_http=True))
        ours.append(Path("HTTP rule", rule_port, pid, HTTP_SHARE))
        theirs: list[Path | None] = [None, None, None]
        if foreign:
            their_pid = listener_pid(foreign)
            theirs = [path("toxiproxy", foreign, their_pid), path("toxiproxy 0 ms", foreign, their_pid, *NOTHING)]
            theirs.append(theirs[0])
        for _ in range(rounds):
            for case in CASES:
                for each in (direct, *ours, *filter(None, theirs[:2])):
                    each.measure(case)
        show_speed(direct, ours, theirs)


def show_speed(direct: Path, ours: list[Path], theirs: list[Path | None]) -> None:
    print(f"reference: Toxiproxy {'measured now' if theirs[0] else '2.12 as measured on another day'}\n")
    print("case                        path          direct/s    ours/s  ratio  ref.  ours/ref.  wanted  CPU us")
    for case in CASES:
        for mine, other in zip(ours, theirs, strict=True):
            ratio, reference = mine.ratio(case, direct), other.ratio(case, direct) if other else case.reference
            rates = [median(path.rates[case.name]) for path in (direct, mine)]
            reached = "reached" if ratio / reference >= case.wanted * mine.share else "MISSED"
            wanted, cost = case.wanted * mine.share, median(mine.cpu_us[case.name])
            print(
                f"{case.name:28}{mine.name:12}{rates[0]:10,.0f}{rates[1]:10,.0f}{ratio:7.2f}{reference:6.2f}"
                f"{ratio / reference:11.2f}{wanted:8.1f}{cost:8.1f}  {reached}"
            )


# -- the rest ----------------------------------------------------------------------------------------------------------

LATENCY_MS = 20


def latency_error(api: str) -> None:
    """32 connections ask one after the other behind a latency; the error is what comes on top of it."""

    async def one(port: int, count: int) -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        errors_ms = []
        for _ in range(count):
            sent_s = time.perf_counter()
            writer.write(b"x" * 64)
            await reader.readexactly(64)
            errors_ms.append((time.perf_counter() - sent_s) * 1000 - LATENCY_MS)
        writer.close()
        return errors_ms

    async def ask() -> list[float]:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        toxic = {"type": "latency", "attributes": {"latency": LATENCY_MS}}
        upstream = server.sockets[0].getsockname()[1]
        with proxied(api, "latency", upstream, toxic) as port:
            rows = await asyncio.gather(*(one(port, 50) for _ in range(32)))
        server.close()
        return [error_ms for row in rows for error_ms in row]

    errors_ms = asyncio.run(ask())
    p50, p99 = median(errors_ms), quantiles(errors_ms, n=100)[98]
    reached = "reached" if p50 <= 1 and p99 <= 4 else "MISSED"
    print(f"{LATENCY_MS} ms latency, 32 connections: error p50 {p50:.2f} ms (<= 1), p99 {p99:.2f} ms (<= 4)  {reached}")


def many_connections(api: str, pid: int, count: int) -> None:
    """Hold *count* connections, or as many as this machine has descriptors for, then ask on every hundredth of them."""
    most = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVED) // 2
    if most < count:
        print(f"this machine gives a process {2 * most + RESERVED:,} descriptors: {most:,} connections")
        count = most
    request = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"
    before_mb = memory_mb(pid)
    with web_server() as server, proxied(api, "many", server) as port, ExitStack() as stack:
        started_s = time.perf_counter()
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(count)]
        opened_s = time.perf_counter() - started_s
        answered = 0
        for client in clients[::100]:
            client.sendall(request)
            answered += client.recv(65536).startswith(b"HTTP/1.1 200")
        held = call(api, "GET", "/harness/links")["benchmark-many"]["open_connections"]
        grown_mb = memory_mb(pid) - before_mb
    reached = "reached" if (held, answered) == (count, len(clients[::100])) else "MISSED"
    print(
        f"{count:,} connections: {held:,} held, {answered} of {len(clients[::100])} asked answered, "
        f"opened in {opened_s:.1f} s, {grown_mb * 1000 / count:.1f} kB each  {reached}"
    )


def endless_sender(api: str, pid: int, seconds: float) -> None:
    """Send as fast as possible through a latency of 4 s; watch the proxy's memory."""
    toxic = {"type": "latency", "stream": "upstream", "attributes": {"latency": 4000}}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=swallow_all, args=(listener,), daemon=True).start()
        with proxied(api, "endless", listener.getsockname()[1], toxic) as port:
            before_mb, most_mb, sent, blob = memory_mb(pid), 0.0, 0, bytes(1 << 20)
            give_up_s = time.perf_counter() + seconds
            with socket.create_connection(("127.0.0.1", port), 1) as client:
                client.settimeout(0.1)
                while time.perf_counter() < give_up_s:
                    with suppress(TimeoutError):
                        sent += client.send(blob)
                    most_mb = max(most_mb, memory_mb(pid) - before_mb)
    reached = "reached" if most_mb <= 64 else "MISSED"
    print(f"endless sender behind 4 s: {sent / 1e6:,.0f} MB sent, {most_mb:.1f} MB of memory added (<= 64)  {reached}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toxiproxy", help="API of a Toxiproxy server to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="measurements per number; the median counts")
    parser.add_argument("--quick", action="store_true", help="one round, 1,000 connections")
    options = parser.parse_args()
    if missing := [tool for tool in ("wrk", "nginx") if not shutil.which(tool)]:
        sys.exit(f"not installed: {', '.join(missing)} (Debian: apt-get install wrk nginx-light)")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    foreign = options.toxiproxy and options.toxiproxy.removeprefix("http://").rstrip("/")
    with running(sys.executable, "-m", "harness.faultproxy", "--port", "0") as proxy:
        api = json.loads(proxy.stdout.readline())["api"]
        speed(api, proxy.pid, foreign, rounds=1 if options.quick else options.rounds)
        print()
        latency_error(api)
        many_connections(api, proxy.pid, 1_000 if options.quick else 10_000)
        endless_sender(api, proxy.pid, 5 if options.quick else 10)


if __name__ == "__main__":
    main()
