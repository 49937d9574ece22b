"""What mutual TLS and tracing cost: CPU of a two-hop request, against the same stack without both.

Run: python benchmarks/stack_cost.py [--requests 400] [--rounds 4] (about half a minute). One hop is client to gateway,
the other gateway to catalog; three stacks run at once and take turns, so that a busy neighbour hurts all alike. CPU is
that of the processes of gateway and catalog, without PostgreSQL and without this client. Without tracing means that no
span leaves the service; the aim is at most 3 ms with everything on.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import psutil
from stack import UNLIMITED, load_starter

SERVICES = ("authority", "identity", "catalog", "gateway")
HOPS = ("gateway", "catalog")
PATH = "/catalog/products/sku-7"
EXPORT_S = 0.8
AIM_MS = 3.0
CONCURRENCY = 4


@dataclass(frozen=True)
class Variant:
    """A way to run the stack."""

    name: str
    is_secure: bool
    is_traced: bool


VARIANTS = (
    Variant("plain, not traced", is_secure=False, is_traced=False),
    Variant("plain, traced", is_secure=False, is_traced=True),
    Variant("mutual TLS, traced", is_secure=True, is_traced=True),
)


@contextmanager
def running(starter: Any, variant: Variant, folder: Path, postgres: Any, collector: Any) -> Iterator[Any]:
    """Start the few services that a two-hop request needs."""
    folder.mkdir()
    stack = starter.Stack(postgres, collector, folder, is_secure=variant.is_secure)
    without_tracing = {} if variant.is_traced else {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    try:
        for service in SERVICES:
            stack.start(service, **UNLIMITED, **without_tracing)
        stack.wait(*SERVICES)
        yield stack
    finally:
        stack.stop_all()


def cpu_s(stack: Any) -> float:
    """Return the CPU time that the services of both hops have used."""
    return sum(sum(psutil.Process(stack.processes[name].pid).cpu_times()[:2]) for name in HOPS)


async def send(stack: Any, requests: int) -> None:
    """Ask for a product, so many times over a few kept connections."""
    headers = {"Authorization": f"Bearer {stack.token('acme')}"}
    url, places = f"http://127.0.0.1:{stack.ports['gateway']}{PATH}", asyncio.Semaphore(CONCURRENCY)

    async def once(session: aiohttp.ClientSession) -> None:
        async with places, session.get(url, headers=headers) as response:
            await response.read()

    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await asyncio.gather(*(once(session) for _ in range(requests)))


def cost_ms(stack: Any, requests: int) -> float:
    """Return the CPU of one request, its share of exporting spans included."""
    before_s = cpu_s(stack)
    asyncio.run(send(stack, requests))
    time.sleep(EXPORT_S)
    return (cpu_s(stack) - before_s) / requests * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help="in each round")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    starter = load_starter()
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="stack-cost-", dir=parent)))
        folder.chmod(0o755)
        postgres = undo.enter_context(starter.running_postgres(folder / "postgres"))
        collector = starter.Collector()
        undo.callback(collector.stop)
        stacks = [
            undo.enter_context(running(starter, variant, folder / str(n), postgres, collector))
            for n, variant in enumerate(VARIANTS)
        ]
        for stack in stacks:
            cost_ms(stack, 100)  # connections, prepared statements, caches
        rounds = [[cost_ms(stack, arguments.requests) for stack in stacks] for _ in range(arguments.rounds)]
    report([median(costs) for costs in zip(*rounds, strict=True)])


def report(costs_ms: list[float]) -> None:
    """Print one line a variant."""
    print(f"{'two-hop request':<22}{'CPU ms':>8}{'ratio':>8}")
    for variant, cost in zip(VARIANTS, costs_ms, strict=True):
        print(f"{variant.name:<22}{cost:>8.2f}{cost / costs_ms[0]:>8.2f}")
    print(f"with everything on {'at most' if costs_ms[-1] <= AIM_MS else 'OVER'} {AIM_MS:g} ms")


if __name__ == "__main__":
    main()
