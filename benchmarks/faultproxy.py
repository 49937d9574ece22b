"""What the fault proxy costs, as ratios to the direct path. Ends in under a minute; prints one table.

    python benchmarks/faultproxy.py [--toxiproxy http://HOST:PORT] [--seconds 0.8] [--rounds 2]

Three processes share the machine: this load generator, a server that answers with as many bytes as it is asked for, and
the proxy. Paths take turns in short rounds, so that a busy neighbour hurts all of them alike; compare ratios, never
absolute numbers. CPU is what the proxy process used for 100,000 keep-alive requests.
"""

import argparse
import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import uvloop

REQUEST_BYTES = 64
SMALL_BYTES = 200
BULK_BYTES = 1_000_000


class Answer(asyncio.Protocol):
    """Each 64-byte request starts with the size of its answer."""

    def connection_made(self, transport):
        self.transport, self.pending = transport, b""

    def data_received(self, data):
        data = self.pending + data
        whole = len(data) - len(data) % REQUEST_BYTES
        for start in range(0, whole, REQUEST_BYTES):
            self.transport.write(bytes(int(data[start : start + 16])))
        self.pending = data[whole:]


class Ask(asyncio.Protocol):
    """Sends the next request when the answer to the last is complete."""

    def __init__(self, tally, answer_bytes, *, again):
        self.tally, self.answer_bytes, self.again = tally, answer_bytes, again
        self.request = b"%016d" % answer_bytes + b"." * (REQUEST_BYTES - 16)

    def connection_made(self, transport):
        self.transport, self.missing = transport, self.answer_bytes
        transport.write(self.request)

    def data_received(self, data):
        self.missing -= len(data)
        if self.missing:
            return
        self.tally.done += 1
        if self.tally.over:
            self.transport.close()
        elif self.again:
            self.missing = self.answer_bytes
            self.transport.write(self.request)
        else:
            self.transport.close()

    def connection_lost(self, _):
        if not self.again and not self.tally.over:
            self.tally.redial()


@dataclass
class Tally:
    done: int = 0
    over: bool = False
    redial: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Job:
    name: str
    connections: int
    answer_bytes: int = SMALL_BYTES
    again: bool = True
    unit: str = "requests/s"


JOBS = [
    Job("keep-alive, 1 connection", 1),
    Job("keep-alive, 16 connections", 16),
    Job("keep-alive, 64 connections", 64),
    Job("bulk, 1 MB bodies, 4 connections", 4, BULK_BYTES, unit="MB/s"),
    Job("connection per request, 16 at once", 16, again=False, unit="connections/s"),
]


async def load(job: Job, address: tuple[str, int], seconds: float) -> float:
    """Return requests per second."""
    loop, tally = asyncio.get_running_loop(), Tally()

    async def dial() -> None:
        await loop.create_connection(lambda: Ask(tally, job.answer_bytes, again=job.again), *address)

    tally.redial = lambda: loop.create_task(dial())
    await asyncio.gather(*(dial() for _ in range(job.connections)))
    await asyncio.sleep(0.1)
    done, started_s = tally.done, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (tally.done - done) / (time.perf_counter() - started_s)
    tally.over = True
    await asyncio.sleep(0.05)
    return rate


@dataclass
class Path:
    name: str
    address: tuple[str, int]
    pid: int | None = None
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_s_per_100k: list[float] = field(default_factory=list)

    def measure(self, job: Job, seconds: float) -> None:
        before_s = cpu_s(self.pid)
        rate = asyncio.run(load(job, self.address, seconds))
        self.rates.setdefault(job.name, []).append(rate)
        if self.pid and job.connections == 64:
            self.cpu_s_per_100k.append((cpu_s(self.pid) - before_s) / (rate * (seconds + 0.15)) * 100_000)


def cpu_s(pid: int | None) -> float:
    """User and system time of a process, all its threads."""
    if pid is None:
        return 0.0
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def call(api: str, method: str, path: str, body: object = None) -> dict:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://{api}{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        text = reply.read()
    return json.loads(text) if text else {}


def proxied(api: str, label: str, upstream: str, pid: int | None, *, toxic: bool) -> Path:
    name = f"benchmark-{label}".replace(" ", "-")
    proxy = call(api, "POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
    for stream in ("upstream", "downstream") if toxic else ():
        call(api, "POST", f"/proxies/{name}/toxics", {"type": "latency", "stream": stream})
    host, _, port = proxy["listen"].rpartition(":")
    return Path(label, (host, int(port)), pid)


@contextmanager
def process(*arguments: str) -> Iterator[tuple[int, str]]:
    """Start a Python process; give its id and its first line."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.pid, child.stdout.readline()
        finally:
            child.send_signal(signal.SIGTERM)


def serve() -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    uvloop.run(run())


def listener_pid(address: str) -> int | None:
    """The process behind a foreign server, when it is ours to see."""
    import psutil

    port = int(address.rpartition(":")[2])
    connections = psutil.net_connections("tcp")
    return next((c.pid for c in connections if c.status == "LISTEN" and c.laddr.port == port), None)


def show(paths: list[Path]) -> None:
    direct, others = paths[0], paths[1:]
    print(f"{'':36}{'direct':>24}" + "".join(f"{path.name:>20}" for path in others))
    for job in JOBS:
        base = median(direct.rates[job.name])
        shown = base * job.answer_bytes / 1e6 if job.unit == "MB/s" else base
        ratios = "".join(f"{median(path.rates[job.name]) / base:>20.2f}" for path in others)
        print(f"{job.name:36}{shown:>10,.0f} {job.unit:13}{ratios}")
    cpu = (f"{median(path.cpu_s_per_100k):>20.2f}" if path.cpu_s_per_100k else f"{'-':>20}" for path in others)
    print(f"{'CPU seconds per 100k requests':36}{'':24}{''.join(cpu)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toxiproxy", help="API of a Toxiproxy server to compare with")
    parser.add_argument("--seconds", type=float, default=0.8, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=2, help="measurements per number; the median counts")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with process(__file__, "--serve") as (_, port), process("-m", "harness.faultproxy", "--port", "0") as (pid, line):
        api, upstream = json.loads(line)["api"], f"127.0.0.1:{int(port)}"
        paths = [
            Path("direct", ("127.0.0.1", int(port))),
            proxied(api, "no toxic", upstream, pid, toxic=False),
            proxied(api, "0 ms latency", upstream, pid, toxic=True),
        ]
        if options.toxiproxy:
            foreign = options.toxiproxy.removeprefix("http://").rstrip("/")
            paths += [proxied(foreign, "toxiproxy", upstream, listener_pid(foreign), toxic=False)]
            paths += [proxied(foreign, "toxiproxy 0 ms", upstream, None, toxic=True)]
        for _ in range(options.rounds):
            for job in JOBS:
                for path in paths:
                    path.measure(job, options.seconds)
        if options.toxiproxy:
            for label in ("toxiproxy", "toxiproxy-0-ms"):
                call(foreign, "DELETE", f"/proxies/benchmark-{label}")
        show(paths)


if __name__ == "__main__":
    main()
