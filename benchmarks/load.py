"""Does the load generator tell the truth, and in time?  python benchmarks/load.py

A shop stalls for two seconds under 200 requests a second. What users went through follows from the schedule alone:
whoever was due during the stall waited for its end. The recording must say the same. Then 60 requests a second are
generated while every core of the machine is busy, to see how late they start.
"""

import asyncio
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from harness.load.arrivals import arrivals_of
from harness.load.job import ClockAnchor, LoadJob
from harness.load.process import LoadProcess
from harness.model.run.clock import NS_PER_MS, NS_PER_S, SteadyClock
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan

STALL_S = 2.0
STALL_AFTER_S = 2.5
BOUND_ERROR = 0.05  # of the true p99: 400 answers that come at once take their time as well
BOUND_LAG_MS = 20.0
BOUND_CPU_US = 1000.0


def shop(told: Connection) -> None:
    """Serve in a process of its own; on a start time, stall once after it and tell when the stall ended."""
    from aiohttp import web

    clock = SteadyClock(*told.recv())
    stall: dict[str, int] = {}

    async def answer(_request: web.Request) -> web.Response:
        now_ns = clock.now_ns()
        if stall and stall["begin"] <= now_ns < stall["end"]:
            await asyncio.sleep((stall["end"] - now_ns) / NS_PER_S)
        return web.json_response({"tenant": "t"})

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        told.send("http://{}:{}".format(*runner.addresses[0][:2]))
        stall.update(await asyncio.to_thread(told.recv))
        await asyncio.to_thread(told.recv)

    asyncio.run(main())


def plan_of(rate: float, seconds: float) -> Plan:
    """Three tenants that together send *rate* requests a second."""
    third = f"{seconds / 3:g}s"
    tenants = ("acme", "globex", "initech")
    return Plan.model_validate(
        {
            "name": "benchmark",
            "seed": 11,
            "phases": {"warmup": "0s", "baseline": third, "fault": third, "recovery": third},
            "scenario": {
                "claim": "the load generator tells the truth",
                "load": {tenant: {"get": rate / 3} for tenant in tenants},
                "faults": [{"surge": {"tenant": "acme", "times": 1}}],
            },
            "target": {
                "name": "shop",
                "entry": "shop",
                "services": {"shop": {"command": ["true"]}},
                "tenants": {tenant: {} for tenant in tenants},
                "flows": {"get": {"timeout": "5s", "steps": [{"name": "get", "path": "/"}]}},
            },
        }
    )


@dataclass(frozen=True)
class Measured:
    """One load: its rows, when it started, when the stall was, and the CPU time of each request."""

    rows: pd.DataFrame
    start_ns: int
    stall_ns: tuple[int, int]
    cpu_us: float

    def lag_ms(self, quantile: float, *, stall_too: bool = False) -> float:
        """How late requests started; without the stall and the second after it, when all its answers come at once."""
        due_ns, (begin_ns, end_ns) = self.rows.intended_start, self.stall_ns
        calm = stall_too | (due_ns < begin_ns) | (due_ns >= end_ns + NS_PER_S)
        return float(((self.rows.start - due_ns) / NS_PER_MS)[calm].quantile(quantile))


async def measure(plan: Plan, run: Path, *, stall_s: float) -> Measured:
    """Run the load of *plan* against the shop."""
    clock = SteadyClock()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=shop, args=(theirs,), daemon=True)
    server.start()
    try:
        ours.send((clock.anchor_utc_ns, clock.anchor_monotonic_ns))
        url = await asyncio.to_thread(ours.recv)
        start_ns = clock.now_ns() + int(1.5 * NS_PER_S)
        begin_ns = start_ns + int(STALL_AFTER_S * NS_PER_S)
        stall_ns = (begin_ns, begin_ns + int(stall_s * NS_PER_S))
        ours.send({"begin": stall_ns[0], "end": stall_ns[1]})
        cpu_s = await generate(plan, url, start_ns, clock, run)
    finally:
        server.terminate()
        server.join()
    rows = pd.concat([pd.read_parquet(path) for path in sorted((run / "requests").glob("*.parquet"))])
    return Measured(rows, start_ns, stall_ns, cpu_s * 1e6 / len(rows))


async def generate(plan: Plan, url: str, start_ns: int, clock: SteadyClock, run: Path) -> float:
    """Generate the load; return the CPU seconds that it used once it had started up."""
    at_start: list[float] = []

    def hear(event: Event) -> None:
        if event.kind is Kind.LOAD_STARTED:
            times = psutil.Process(load.pid).cpu_times()
            at_start.append(times.user + times.system)

    anchor = ClockAnchor(utc_ns=clock.anchor_utc_ns, monotonic_ns=clock.anchor_monotonic_ns)
    job = LoadJob(plan=plan, base_url=url, start_ns=start_ns, anchor=anchor, run=str(run))
    before_s = children_cpu_s()
    load = await LoadProcess.start(job, emit=hear, on_progress=lambda _: None, env=os.environ, register=lambda _: None)
    code = await load.wait()
    assert code == 0, (run / "logs-raw" / "load.log").read_text()
    return children_cpu_s() - before_s - at_start[0]


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def true_p99_ms(plan: Plan, measured: Measured) -> float:
    """What users waited, from the schedule and the stall alone (service itself takes no time worth the name)."""
    begin_ns, end_ns = measured.stall_ns
    due_ns = np.array([measured.start_ns + arrival.due_ns for arrival in arrivals_of(plan)])
    waited_ns = np.where((due_ns >= begin_ns) & (due_ns < end_ns), end_ns - due_ns, 0)
    return float(np.quantile(waited_ns, 0.99)) / NS_PER_MS


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy, from sessions of their own."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin, start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def report(what: str, value: str, bound: str, *, held: bool) -> None:
    print(f"{what:<58}{value:>24}   {bound:<22}{'ok' if held else 'MISSED'}")


def report_lag(what: str, measured: Measured) -> None:
    p99_ms = measured.lag_ms(0.99)
    value = f"{measured.lag_ms(0.5):.2f} / {p99_ms:.2f} ms"
    report(f"{what}, p50 / p99", value, f"p99 < {BOUND_LAG_MS:g} ms", held=p99_ms < BOUND_LAG_MS)


def stalled(run: Path) -> None:
    """200 a second, and a stall of two seconds."""
    plan = plan_of(200, 9)
    measured = asyncio.run(measure(plan, run, stall_s=STALL_S))
    true_ms = true_p99_ms(plan, measured)
    latency_ms = (measured.rows.end - measured.rows.intended_start) / NS_PER_MS
    reported_ms = float(latency_ms.quantile(0.99))
    error = abs(reported_ms / true_ms - 1)
    what = f"p99 in a stall of {STALL_S:g} s at 200/s: reported / true"
    report(
        what,
        f"{reported_ms:.0f} / {true_ms:.0f} ms = {reported_ms / true_ms:.3f}",
        f"1 +- {BOUND_ERROR:g}",
        held=error <= BOUND_ERROR,
    )
    service_ms = float(((measured.rows.end - measured.rows.start) / NS_PER_MS).quantile(0.99))
    report("  the same from the actual start", f"{service_ms:.0f} ms", "", held=True)
    report_lag("start lag at 200/s", measured)
    report("  the stall's aftermath included", f"{measured.lag_ms(0.99, stall_too=True):.2f} ms", "", held=True)
    report(
        "CPU time per request",
        f"{measured.cpu_us:.0f} us",
        f"< {BOUND_CPU_US:g} us",
        held=measured.cpu_us < BOUND_CPU_US,
    )


def crowded(run: Path) -> None:
    """60 a second while all cores are busy."""
    with busy_cores():
        measured = asyncio.run(measure(plan_of(60, 6), run, stall_s=0))
    report_lag(f"start lag at 60/s, {os.cpu_count()} busy cores", measured)


if __name__ == "__main__":
    for measurement in (stalled, crowded):
        with tempfile.TemporaryDirectory() as folder:
            measurement(Path(folder))
