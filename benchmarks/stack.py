"""What the sample stack costs: time to be ready, memory, idle CPU, CPU of a browse and of a checkout.

Run: python benchmarks/stack.py (about 20 seconds). The services are those of target.yaml, with direct links; all
databases share one PostgreSQL here, while a run of the harness starts one each and a proxy before every link.
"""

import asyncio
import importlib.util
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import aiohttp
import psutil

STARTER = Path(__file__).parents[1] / "tests" / "target_stack" / "conftest.py"
UNLIMITED = {"RATE_LIMITS": "gold=9999:9999,silver=9999:9999", "TENANT_CONCURRENCY": "999", "PARALLEL": "64"}
IDLE_S = 5.0
EXPORT_S = 0.8
CONCURRENCY = 4
BROWSES_PER_S, CHECKOUTS_PER_S, CORES = 18, 12, 2  # the default load of the scenario payment-provider-hang


@dataclass(frozen=True)
class Cost:
    """CPU of one journey, and how long it took at the median."""

    cpu_ms: float
    median_ms: float


def load_starter() -> ModuleType:
    """Return the test suite's starter: the one way to start the services without the harness."""
    spec = importlib.util.spec_from_file_location("stack_starter", STARTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    """The running stack and the processes that count."""

    def __init__(self, starter: ModuleType, folder: Path) -> None:
        (folder / "postgres").mkdir()
        began_s = time.monotonic()
        self.postgres = starter.Postgres(folder / "postgres")
        self.postgres.wait()
        for service in starter.TARGET["services"].values():
            if service.get("kind") == "postgres":
                self.postgres.create(service["database"])
        self.collector = starter.Collector()
        self.stack = starter.Stack(self.postgres, self.collector, folder)
        services = [name for name, service in starter.TARGET["services"].items() if "command" in service]
        services_began_s = time.monotonic()
        for service in services:
            self.stack.start(service, **UNLIMITED)
        self.stack.wait(*services)
        self.services_ready_s = time.monotonic() - services_began_s
        self.all_ready_s = time.monotonic() - began_s
        self.url = f"http://127.0.0.1:{self.stack.ports['gateway']}"

    def processes(self) -> Iterator[psutil.Process]:
        for service in self.stack.processes.values():
            yield psutil.Process(service.pid)
        server = psutil.Process(self.postgres.pid)
        yield server
        yield from server.children()

    def cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def services_rss_mb(self) -> float:
        return sum(psutil.Process(each.pid).memory_info().rss for each in self.stack.processes.values()) / 1e6

    def postgres_pss_mb(self) -> float:
        server = psutil.Process(self.postgres.pid)
        return sum(each.memory_full_info().pss for each in (server, *server.children())) / 1e6

    def stop(self) -> None:
        self.stack.stop_all()
        self.postgres.stop()
        self.collector.stop()


@contextmanager
def running() -> Iterator[Bench]:
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="stack-bench-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(load_starter(), Path(folder))
        try:
            yield bench
        finally:
            bench.stop()


def idle_percent(bench: Bench) -> float:
    before_s = bench.cpu_s()
    time.sleep(IDLE_S)
    return (bench.cpu_s() - before_s) / IDLE_S * 100


def cost_of(bench: Bench, journeys: int, journey: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> Cost:
    asyncio.run(_repeat(30, journey))  # connections, prepared statements, caches
    time.sleep(EXPORT_S)
    before_s = bench.cpu_s()
    durations_s = sorted(asyncio.run(_repeat(journeys, journey)))
    time.sleep(EXPORT_S)
    return Cost((bench.cpu_s() - before_s) / journeys * 1000, durations_s[journeys // 2] * 1000)


async def _repeat(times: int, journey: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> list[float]:
    places, durations_s = asyncio.Semaphore(CONCURRENCY), []

    async def once(session: aiohttp.ClientSession) -> None:
        async with places:
            began_s = time.monotonic()
            await journey(session)
            durations_s.append(time.monotonic() - began_s)

    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await asyncio.gather(*(once(session) for _ in range(times)))
    return durations_s


def browse(bench: Bench) -> Callable[[aiohttp.ClientSession], Awaitable[None]]:
    headers = {"Authorization": f"Bearer {bench.stack.token('acme')}"}

    async def journey(session: aiohttp.ClientSession) -> None:
        for path in ("/catalog/products?limit=20", "/catalog/products/sku-7"):
            async with session.get(bench.url + path, headers=headers) as response:
                await response.read()

    return journey


def checkout(bench: Bench) -> Callable[[aiohttp.ClientSession], Awaitable[None]]:
    token = bench.stack.token("acme")
    order = {"items": [{"sku": "sku-7", "quantity": 1}]}

    async def journey(session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}
        async with session.post(f"{bench.url}/orders", json=order, headers=headers) as response:
            await response.read()

    return journey


def show(name: str, value: float, unit: str, bound: float | None = None) -> None:
    judged = "" if bound is None else f"   bound {bound:g} {unit}: {'met' if value <= bound else 'MISSED'}"
    print(f"{name:<58}{value:9.2f} {unit:<8}{judged}")


def main() -> None:
    with running() as bench:
        show("services started to all ready", bench.services_ready_s, "s")
        show("nothing (initdb) to all ready", bench.all_ready_s, "s", 5)
        show("idle CPU, share of one core", idle_percent(bench), "%", 10)
        browsing, buying = cost_of(bench, 400, browse(bench)), cost_of(bench, 300, checkout(bench))
        show("CPU of a browse (2 requests, 4 hops with the database)", browsing.cpu_ms, "ms")
        show("CPU of a checkout (6 services, 8 transactions)", buying.cpu_ms, "ms")
        show("median browse, 4 at a time", browsing.median_ms, "ms")
        show("median checkout, 4 at a time (60 ms of it the provider)", buying.median_ms, "ms")
        busy = (BROWSES_PER_S * browsing.cpu_ms + CHECKOUTS_PER_S * buying.cpu_ms) / 10 / CORES
        show(f"stack's share of {CORES} cores at the default load", busy, "%", 70)
        show("resident memory of the services", bench.services_rss_mb(), "MB")
        total_mb = bench.services_rss_mb() + bench.postgres_pss_mb()
        show("resident memory with PostgreSQL (proportional set)", total_mb, "MB", 1200)


if __name__ == "__main__":
    main()
