"""Recordings of any size, made up from a seed: many tenants, one provider that hangs for one of them, a breaker.

Written in whole columns, so that a million requests and five million spans take seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table
from harness.recording.manifest import Manifest, PhaseWindow, write_manifest
from harness.recording.reader import Recording
from harness.recording.writer import EventLog, write_segment

T0 = 1_780_000_000 * NS_PER_S
LINK = "payments -> provider-a"
CHAIN = ("gateway", "orders", "payments")
SPANS_A_REQUEST = 5
_PHASES = {"warmup": "4s", "baseline": "20s", "fault": "20s", "recovery": "20s"}
_SECONDS = 64
_FAULT_NS, _END_NS = T0 + 24 * NS_PER_S, T0 + 44 * NS_PER_S
_OPENED_NS = _FAULT_NS + NS_PER_S
_SEGMENT = 50_000  # requests


@dataclass(frozen=True, slots=True)
class Size:
    """How large a recording is to be; spans are five times the requests."""

    requests: int
    tenants: int = 20


def synthetic_plan(size: Size, *, seed: int = 7) -> Plan:
    """Return the plan under which such a recording could have been made."""
    names = [f"tenant-{number:03d}" for number in range(size.tenants)]
    rate = size.requests / size.tenants / _SECONDS
    links = ("gateway -> orders", "orders -> payments", LINK)
    checks: list[dict[str, Any]] = [
        {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "12s"}},
        {"bulkhead": {"link": "orders -> payments", "limit": 1_000_000}},
        {"retries": {"link": "orders -> payments", "amplification": "<= 1.3"}},
        {"deadline": {"flow": "checkout", "within": "1900ms"}},
        {"trace": {"complete": ">= 99%", "blames": LINK}},
        {"recovery": {"within": "12s"}},
    ]
    scenario = {
        "claim": "When a provider hangs, only its tenant suffers.",
        "load": {name: {"checkout": rate} for name in names},
        "arrivals": "constant",
        "phases": _PHASES,
        "faults": [{"link": LINK, "latency": "10s"}],
        "blast_radius": {names[0]: {"checkout": {"errors": "<= 100%"}}},
        "checks": checks,
    }
    steps = [{"name": "order", "path": "/orders", "expect": 201, "watermark": "tenant"}]
    target = {
        "name": "synthetic",
        "entry": "gateway",
        "services": {name: {"command": ["true"]} for name in (*CHAIN, "provider-a")},
        "links": {link: {"env": "URL"} for link in links},
        "tenants": {name: {} for name in names},
        "flows": {"checkout": {"steps": steps}},
        "objectives": {"checkout": {"errors": "< 1%", "p95": "< 600ms"}},
    }
    parts = {"name": "synthetic", "seed": seed, "phases": _PHASES, "scenario": scenario, "target": target}
    return Plan.model_validate(parts)


def write_synthetic(run: Path, size: Size, *, seed: int = 7) -> Recording:
    """Write a completed run in which the claim holds; open it."""
    plan, random = synthetic_plan(size, seed=seed), np.random.default_rng(seed)
    for table in (Table.REQUESTS, Table.SPANS):
        (run / table.value).mkdir(parents=True)
    for number, first in enumerate(range(0, size.requests, _SEGMENT)):
        rows = np.arange(first, min(first + _SEGMENT, size.requests))
        _write_part(run, number, rows, plan, random)
    _write_events(run)
    write_manifest(run, _manifest(run, plan))
    return Recording(run)


def _write_part(run: Path, number: int, rows: np.ndarray, plan: Plan, random: np.random.Generator) -> None:
    tenants = list(plan.scenario.load)
    tenant = rows % len(tenants)
    turn = rows // len(tenants)  # each tenant's arrivals are evenly spaced
    due = T0 + ((turn + 0.5) * _SECONDS * NS_PER_S / (plan_requests(plan) / len(tenants))).astype(np.int64)
    hurt = (tenant == 0) & (due >= _FAULT_NS) & (due < _END_NS)
    refused = hurt & (due >= _OPENED_NS)
    took_ms = np.where(refused, 12.0, np.where(hurt, 1500.0, random.lognormal(np.log(95), 0.2, len(rows))))
    start = due + NS_PER_MS // 2
    end = start + (took_ms * NS_PER_MS).astype(np.int64)
    trace = _ids(random, len(rows), 16)
    status = np.where(refused, 503, np.where(hurt, 504, 201))
    outcome = np.where(refused, 1, np.where(hurt, 2, 0))
    columns = [
        _words(tenants, tenant),
        _words(["checkout"], np.zeros(len(rows), dtype=np.int64)),
        _words(["order"], np.zeros(len(rows), dtype=np.int64)),
        pa.array(due),
        pa.array(start),
        pa.array(end),
        pa.array(status, type=pa.int16()),
        _words(["ok", "refused", "failed"], outcome),
        pa.nulls(len(rows), pa.string()),
        trace,
        pa.array(np.full(len(rows), 512), type=pa.int32()),
        pa.array(refused),
        pa.nulls(len(rows), pa.string()),
    ]
    _write(run, Table.REQUESTS, number, columns)
    lines = list(_spans(random, trace, start, end, (tenants, tenant), hurt, refused))
    _write(run, Table.SPANS, number, [pa.concat_arrays(parts) for parts in zip(*lines, strict=True)])


def _spans(
    random: np.random.Generator,
    trace: pa.Array,
    start: np.ndarray,
    end: np.ndarray,
    tenant: tuple[Sequence[str], np.ndarray],
    hurt: np.ndarray,
    refused: np.ndarray,
) -> Iterator[list[pa.Array]]:
    """Yield the columns of each span of the chain: server, client, server, client, server.

    A hurt request also has one call that hangs, below the last server span; it takes that span's place.
    """
    parent, count = _ids(random, len(trace), 8), len(start)
    for depth in range(SPANS_A_REQUEST):
        own = _ids(random, count, 8)
        service, client = CHAIN[(depth + 1) // 2 if depth % 2 == 0 else depth // 2], depth % 2 == 1
        link = f"{service} -> {CHAIN[depth // 2 + 1]}" if client else None
        hanging = hurt & ~refused if depth == SPANS_A_REQUEST - 1 else np.zeros(count, dtype=bool)
        inside = depth * NS_PER_MS // 5
        yield [
            trace,
            own,
            parent,
            _words([service], np.zeros(count, dtype=np.int64)),
            _words([f"{service} call" if client else service], np.zeros(count, dtype=np.int64)),
            _words(["client" if client else "server", "client"], hanging.astype(np.int64)),
            pa.array(start + inside),
            pa.array(end - inside),
            _words(["ok", "error"], hurt.astype(np.int64)),
            _words(tenant[0], tenant[1]),
            _words([link, LINK], hanging.astype(np.int64)),
            pa.array(np.zeros(count), type=pa.int16()),
            pa.array(np.where(hurt, 504, 200), type=pa.int16()),
            pa.nulls(count, pa.string()),
            _refusals(refused) if depth == SPANS_A_REQUEST - 1 else pa.nulls(count, pa.string()),
        ]
        parent = own


def _refusals(refused: np.ndarray) -> pa.Array:
    noted = f'[{{"name": "resilience.breaker.refused", "attributes": {{"resilience.breaker.name": "{LINK}"}}}}]'
    return _words([None, noted], refused.astype(np.int64))


def plan_requests(plan: Plan) -> int:
    """Return how many requests a synthetic plan asks for."""
    return round(sum(rate for flows in plan.scenario.load.values() for rate in flows.values()) * _SECONDS)


def _write(run: Path, table: Table, number: int, columns: list[pa.Array]) -> None:
    path = run / table.value / f"synthetic-{number:05d}.parquet"
    write_segment(path, pa.Table.from_arrays(columns, schema=table.schema))


def _ids(random: np.random.Generator, count: int, width: int) -> pa.Array:
    raw = pa.py_buffer(random.bytes(count * width))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, raw])


def _words(words: Sequence[str | None], codes: np.ndarray) -> pa.Array:
    return pa.array(words, type=pa.string()).take(pa.array(codes))


def _write_events(run: Path) -> None:
    fault, breaker = {"fault": "fault-1"}, {"service": "payments", "breaker": LINK}
    events = (
        Event(_FAULT_NS, Kind.FAULT_APPLIED, {**fault, "kind": "latency", "place": LINK}),
        Event(_OPENED_NS, Kind.BREAKER_CHANGED, {**breaker, "from_state": "closed", "to_state": "open"}),
        Event(_END_NS, Kind.FAULT_OBSERVED, {**fault, "connections": 9, "bytes": 5120}),
        Event(_END_NS, Kind.FAULT_UNDONE, {**fault, "by": "harness"}),
        Event(_END_NS + NS_PER_S, Kind.BREAKER_CHANGED, {**breaker, "from_state": "open", "to_state": "closed"}),
        Event(T0 + _SECONDS * NS_PER_S, Kind.LOAD_ENDED, {"code": 0}),
    )
    log = EventLog(run)
    for event in events:
        log.append(event)
    log.close()


def _manifest(run: Path, plan: Plan) -> Manifest:
    edges = {phase: T0 + round(plan.offset_s(phase) * NS_PER_S) for phase in Phase}
    ends = {phase: edges[phase] + round(plan.phases.seconds(phase) * NS_PER_S) for phase in Phase}
    return Manifest(
        id=run.name,
        plan=plan,
        command=["harness", "run", plan.name],
        started_ns=T0 - 6 * NS_PER_S,
        ended_ns=T0 + (_SECONDS + 3) * NS_PER_S,
        how=How.COMPLETED,
        windows=[PhaseWindow(phase=phase, start_ns=edges[phase], end_ns=ends[phase]) for phase in Phase],
    )
