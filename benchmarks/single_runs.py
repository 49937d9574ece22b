"""Recordings of runs with one fault window, a bystander of which is harmed or not, judged by the real `judge()`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.latencies import Harm, machine, requests_of, slower, unharmed
from harness.checks.judge import judge
from harness.model.files.scenario import Phase
from harness.model.result.finding import Status
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Kind
from tests.recordings import Written, small_plan

MISSED_MOST = 0.05
"""A run in which a bystander becomes twice as slow may be called held so often."""

_LOAD = {"browse": 8, "checkout": 8}
_PHASES = {"warmup": "2s", "baseline": "20s", "fault": "20s", "recovery": "20s"}
_MEDIAN_MS = {"browse": 30.0, "checkout": 90.0}
_TENANTS = ("acme", "globex", "initech")
_VICTIM, _HARMED = ("acme", "checkout"), ("globex", "checkout")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, and the share of the runs that was called held though somebody was harmed."""

    text: str
    held: float


def found_in_single_runs(folder: Path, runs: int) -> Iterator[Row]:
    """Yield how runs without harm, and with a bystander twice and thrice as slow, are judged."""
    for name, harm in (("no harm", unharmed), ("bystander 2x", slower(2.0)), ("bystander 3x", slower(3.0))):
        found = [_verdict(folder / f"{name}-{seed}", seed, harm) for seed in range(runs)]
        share = {status: found.count(status) / runs for status in Status}
        told = " | ".join(f"{share[status]:.0%}" for status in (Status.FAIL, Status.UNKNOWN, Status.PASS))
        yield Row(f"| {name} | {runs} | {told} |", 0.0 if harm is unharmed else share[Status.PASS])


def _verdict(run: Path, seed: int, harm: Harm) -> Status:
    plan = small_plan(
        scenario={"load": dict.fromkeys(_TENANTS, _LOAD), "phases": _PHASES},
        target={"objectives": {"browse": {"errors": "< 1%"}, "checkout": {"errors": "< 1%"}}},
        seed=seed,
    )
    written = Written(run, plan)
    random, seconds = np.random.default_rng(seed), plan.phases.total_s
    begin_s = plan.offset_s(Phase.FAULT)
    on, under = machine(random, seconds), [(begin_s, begin_s + plan.phases.fault)]
    for tenant in _TENANTS:
        for flow, rate in _LOAD.items():
            does = harm if (tenant, flow) == _HARMED else unharmed
            median_ms = _MEDIAN_MS[flow]
            rows = requests_of(
                random, on, seconds=seconds, rate=rate, median_ms=median_ms, harm=does, windows=under, bursty=False
            )
            for at_s, latency_ms in zip(rows.due_ns / NS_PER_S, (rows.end_ns - rows.due_ns) / NS_PER_MS, strict=True):
                _write(written, (tenant, flow), float(at_s), float(latency_ms), under[0])
    written.event(seconds + 1, Kind.LOAD_ENDED, arrivals=1, sent=1, late=0, dropped=0, code=0)
    written.fault_of_the_plan()
    return judge(written.read()).status


def _write(written: Written, pair: tuple[str, str], at_s: float, latency_ms: float, under: tuple[float, float]) -> None:
    is_hit = pair == _VICTIM and under[0] <= at_s < under[1]
    if is_hit:
        written.request(*pair, at_s, latency_ms=3000, status=504, chain=())
    else:
        written.request(*pair, at_s, latency_ms=latency_ms, chain=())
