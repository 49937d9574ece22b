"""Recordings written by hand, for tests of whatever reads them: real Parquet, real events.jsonl, a real manifest.

    written = Written(tmp_path / "run")                       # a plan of two tenants, see `small_plan`
    written.load_as_planned()                                 # every flow of every tenant, all healthy, with traces
    written.fault_of_the_plan(felt=76)                        # asked, applied, felt, undone at the planned times
    written.requests("acme", "checkout", 12, 22, rate=4, status=503, latency_ms=20)
    recording = written.read()                                # closes everything and opens the folder

Times are seconds after the load's start (T0). What is written twice stands there twice: a test that wants acme's
checkout to fail in the fault phase leaves that stretch out of the healthy load (`load_as_planned(but=...)`).
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan, fault_name
from harness.recording.columns import Outcome, Table
from harness.recording.manifest import Manifest, PhaseWindow, write_manifest
from harness.recording.reader import Recording
from harness.recording.writer import EventLog, SegmentWriter

T0 = 1_780_000_000 * NS_PER_S
"""The load's start, UTC ns."""

LINK = "payments -> provider-a"
PHASES = {"warmup": "2s", "baseline": "10s", "fault": "10s", "recovery": "10s"}
BASELINE_S, FAULT_S, RECOVERY_S, END_S = 2, 12, 22, 32
"""Where the phases of `small_plan` begin, and where the last one ends."""

LATENCY_MS = {"browse": 20.0, "checkout": 100.0, "login": 30.0}
CHAINS: Mapping[str, Sequence[str]] = {
    "browse": ("gateway", "catalog"),
    "checkout": ("gateway", "orders", "payments", "provider-a"),
    "login": ("gateway", "identity"),
}
_SERVICES = ("gateway", "catalog", "orders", "payments", "provider-a", "provider-b", "identity")
_LINKS = (
    "gateway -> catalog",
    "gateway -> orders",
    "gateway -> identity",
    "orders -> payments",
    LINK,
    "payments -> provider-b",
)


def small_target(**changes: Any) -> dict[str, Any]:
    """Return a target with two flows of one step, a flow of two, and their objectives; *changes* replace parts."""
    steps = {
        "browse": [{"name": "list", "path": "/products", "watermark": "tenant"}],
        "checkout": [
            {
                "name": "order",
                "method": "POST",
                "path": "/orders",
                "expect": 201,
                "watermark": "tenant",
                "ledger": {"name": "orders", "key": "{key}"},
            }
        ],
        "login": [{"name": "token", "path": "/token"}, {"name": "home", "path": "/home"}],
    }
    return {
        "name": "small-shop",
        "entry": "gateway",
        "services": {name: {"command": ["true"]} for name in _SERVICES},
        "links": {link: {"env": "URL"} for link in _LINKS},
        "tenants": {"acme": {}, "globex": {}, "initech": {}},
        "flows": {name: {"steps": parts} for name, parts in steps.items()},
        "ledgers": {"orders": {"path": "/orders", "keys": "orders[].key"}},
        "objectives": {
            "browse": {"errors": "< 0.5%", "p95": "< 250ms"},
            "checkout": {"errors": "< 1%", "p95": "< 600ms"},
        },
        **changes,
    }


def small_scenario(**changes: Any) -> dict[str, Any]:
    """Return a scenario in which a provider hangs and acme's checkout may suffer; *changes* replace parts."""
    return {
        "claim": "When the provider hangs, only the checkout of acme suffers.",
        "load": {tenant: {"browse": 6, "checkout": 4} for tenant in ("acme", "globex")},
        "arrivals": "constant",
        "phases": PHASES,
        "faults": [{"link": LINK, "latency": "10s"}],
        "blast_radius": {"acme": {"checkout": {"errors": "<= 100%"}}},
        **changes,
    }


def small_plan(
    *, scenario: Mapping[str, Any] | None = None, target: Mapping[str, Any] | None = None, **changes: Any
) -> Plan:
    """Return a plan of `small_scenario` against `small_target`, each with parts replaced."""
    written = small_scenario(**(scenario or {}))
    parts = {"name": "small", "seed": 7, "phases": written["phases"], "scenario": written}
    return Plan.model_validate({**parts, "target": small_target(**(target or {})), **changes})


def at(seconds: float) -> int:
    """Return a moment of the run, UTC ns."""
    return T0 + round(seconds * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of one tenant's flow (of all tenants, or all flows, without a name); the end is left out."""

    begin_s: float
    end_s: float
    tenant: str | None = None
    flow: str | None = None

    def holds(self, at_s: float, tenant: str, flow: str) -> bool:
        """Say whether an arrival lies in it."""
        return self.begin_s <= at_s < self.end_s and self.tenant in (None, tenant) and self.flow in (None, flow)


class Written:
    """One recording while it is being written by hand; ids are made by counting, so they are the same each time."""

    def __init__(self, run: Path, plan: Plan | None = None) -> None:
        self.run = run
        self.plan = plan or small_plan()
        run.mkdir(parents=True, exist_ok=True)
        self._writers = {table: SegmentWriter(run, table, source="hand") for table in Table}
        self._events: list[Event] = []
        self._ids = itertools.count(1)
        self._ends_s: dict[str, list[float]] = {}

    # -- requests and their traces ---------------------------------------------------------------------------------

    def request(
        self,
        tenant: str,
        flow: str,
        at_s: float,
        *,
        latency_ms: float | None = None,
        status: int | None = None,
        outcome: Outcome | None = None,
        error: str | None = None,
        lag_ms: float = 0.5,
        step: str | None = None,
        retry_after: bool = False,
        foreign: str | None = None,
        trace: bytes | None = None,
        chain: Sequence[str] | None = None,
    ) -> bytes:
        """Write one request and, unless *chain* is empty, its trace through these services; return the trace id.

        The outcome follows from the status: 0 is unknown (or as *outcome* says), the step's own status is ok, 429 and
        503 are refused, else it failed. Latency counts from the intended start.
        """
        spec = next(s for s in self.plan.target.flows[flow].steps if step in (None, s.name))
        code = spec.expect if status is None else status
        ended = outcome or outcome_of(code, spec.expect)
        took_ms = LATENCY_MS[flow] if latency_ms is None else latency_ms
        due, sent = at(at_s), ended is not Outcome.DROPPED
        start, end = (due + int(lag_ms * NS_PER_MS), due + int(took_ms * NS_PER_MS)) if sent else (0, due)
        trace_id = trace or self.new_id(16)
        row = (tenant, flow, spec.name, due, start, end, code if sent else 0, ended.value, error, trace_id, 512)
        self.row(Table.REQUESTS, *row, retry_after, foreign)
        if sent:
            self._ends_s.setdefault(tenant, []).append(at_s + took_ms / 1e3)
        services = chain_of(tenant, flow) if chain is None else chain
        if services and sent:
            self.trace(trace_id, services, at_s + lag_ms / 1e3, took_ms - lag_ms, tenant=tenant, failed=code >= 500)
        return trace_id

    def requests(
        self, tenant: str, flow: str, begin_s: float, end_s: float, *, rate: float, **each: Any
    ) -> list[bytes]:
        """Write evenly spaced arrivals, all alike, with every step of the flow; return their trace ids."""
        moments = arrivals_s(begin_s, end_s, rate)
        steps = [step.name for step in self.plan.target.flows[flow].steps]
        wanted = [each.pop("step")] if "step" in each else steps
        return [self.request(tenant, flow, moment, step=step, **each) for moment in moments for step in wanted]

    def ends(self, tenant: str) -> list[float]:
        """Return when each request of a tenant ended, in order."""
        return sorted(self._ends_s.get(tenant, []))

    def load_as_planned(self, *, but: Iterable[Stretch] = (), end_s: float | None = None, **each: Any) -> None:
        """Write the whole load of the plan, healthy, without the stretches in *but*; and that the load ended well."""
        last_s = self.plan.phases.total_s if end_s is None else end_s
        left_out = tuple(but)
        for tenant, flows in self.plan.scenario.load.items():
            for flow, rate in flows.items():
                for moment in arrivals_s(0, last_s, rate):
                    if not any(stretch.holds(moment, tenant, flow) for stretch in left_out):
                        for step in self.plan.target.flows[flow].steps:
                            self.request(tenant, flow, moment, step=step.name, **each)
        if end_s is None:
            self.event(last_s + 1, Kind.LOAD_ENDED, arrivals=1, sent=1, late=0, dropped=0, code=0)
            for second in range(int(last_s)):
                self.metric(second, "host", "host_cpu_busy_ratio", 0.4)

    def trace(
        self, trace_id: bytes, services: Sequence[str], at_s: float, took_ms: float, *, tenant: str, failed: bool
    ) -> None:
        """Write a server span of each service and the client spans between them, each inside the one before."""
        parent, depth_ms = self.new_id(8), min(1.0, took_ms / (2 * len(services) + 1))
        for depth, service in enumerate(services):
            begin_s, left_ms = at_s + depth * depth_ms / 1e3, took_ms - 2 * depth * depth_ms
            about = {"tenant": tenant, "failed": failed}
            parent = self.span(trace_id, service, "server", begin_s, left_ms, parent=parent, **about)
            if depth + 1 < len(services):
                link = f"{service} -> {services[depth + 1]}"
                inner_s, inner_ms = begin_s + depth_ms / 2e3, left_ms - depth_ms
                parent = self.span(trace_id, service, "client", inner_s, inner_ms, parent=parent, link=link, **about)

    def span(
        self,
        trace_id: bytes,
        service: str,
        kind: str,
        at_s: float,
        took_ms: float,
        *,
        parent: bytes | None = None,
        link: str | None = None,
        attempt: int = 0,
        tenant: str | None = None,
        failed: bool = False,
        status: int = 0,
        events: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """Write one span; return its id."""
        span_id, begin, end = self.new_id(8), at(at_s), at(at_s) + int(took_ms * NS_PER_MS)
        noted = json.dumps(list(events)) if events else None
        ended = "error" if failed else "ok"
        name = f"{kind} {link or service}"
        ids = (trace_id, span_id, parent)
        self.row(Table.SPANS, *ids, service, name, kind, begin, end, ended, tenant, link, attempt, status, None, noted)
        return span_id

    def call(self, at_s: float, took_ms: float, *, link: str = LINK, attempt: int = 0, **more: Any) -> bytes:
        """Write one client span on *link*, alone in its trace; return the trace id."""
        trace_id = self.new_id(16)
        caller = link.partition(" -> ")[0]
        self.span(trace_id, caller, "client", at_s, took_ms, link=link, attempt=attempt, **more)
        return trace_id

    # -- everything else -------------------------------------------------------------------------------------------

    def event(self, at_s: float, what: Kind, /, **fields: Any) -> None:
        """Write one event."""
        self._events.append(Event(at(at_s), what, fields))

    def fault_of_the_plan(
        self, *, felt: int = 76, applied: bool = True, undone: bool = True, by: str = "harness"
    ) -> None:
        """Write the events of every fault of the plan at its planned times; *felt* is the injector's own count."""
        for number, fault in enumerate(self.plan.scenario.faults):
            about = {"fault": fault_name(number), "kind": fault.kind, "place": fault.place}
            windows = [self.plan.fault_window_s(number)]
            if self.plan.scenario.design.interleaved:
                windows = self.plan.fault_windows_s(number)
            for begin_s, end_s in windows:
                self.event(begin_s, Kind.FAULT_ASKED, **about)
                if applied:
                    self.event(begin_s, Kind.FAULT_APPLIED, **about)
                    self._felt(about, fault.surge is not None, end_s, felt)
                if applied and undone:
                    self.event(end_s, Kind.FAULT_UNDONE, fault=about["fault"], by=by)

    def _felt(self, about: Mapping[str, str], surge: bool, end_s: float, felt: int) -> None:
        if surge:
            tenant = about["place"].removeprefix("tenant ")
            self.event(end_s, Kind.SURGE_DELIVERED, fault=about["fault"], tenant=tenant, requests=felt)
        else:
            count = {"connections": felt, "bytes": felt * 512, "first_observed_ns": None}
            self.event(end_s, Kind.FAULT_OBSERVED, fault=about["fault"], **count)

    def breaker(self, *changes: tuple[float, str], link: str = LINK) -> None:
        """Write changes of a breaker, each as (seconds, new state); it begins closed."""
        before = "closed"
        for moment_s, after in changes:
            states = {"from_state": before, "to_state": after}
            service = link.partition(" -> ")[0]
            self.event(moment_s, Kind.BREAKER_CHANGED, service=service, breaker=link, **states)
            before = after

    def metric(self, at_s: float, service: str, name: str, value: float, /, **labels: str) -> None:
        """Write one sample."""
        self.row(Table.METRICS, at(at_s), service, name, json.dumps(labels, sort_keys=True), value)

    def ledger(
        self,
        kind: str,
        tenant: str,
        key: str,
        *,
        at_s: float = 15,
        value: str | None = None,
        name: str = "orders",
    ) -> None:
        """Write one row of a ledger: invoke, ok, fail, unknown, or read (then *value* names the tenant)."""
        named = tenant if kind == "read" and value is None else value
        self.row(Table.LEDGER, at(at_s), kind, name, tenant, key, named, None)

    def ledger_read(self, tenant: str, *, complete: bool = True, name: str = "orders") -> None:
        """Write that a tenant's ledger was read back."""
        about = {"ledger": name, "tenant": tenant, "keys": 1, "cause": None if complete else "timeout"}
        self.event(self.plan.phases.total_s + 1, Kind.LEDGER_READ, complete=complete, **about)

    def row(self, table: Table, *values: Any) -> None:
        """Write one row as it is."""
        self._writers[table].append(values)

    def new_id(self, length: int) -> bytes:
        """Return the next id; spread out as random ones are."""
        return (next(self._ids) * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") * (length // 8)

    def read(
        self,
        *,
        how: How | None = How.COMPLETED,
        cause: str | None = None,
        windows: bool = True,
        ended_s: float | None = None,
    ) -> Recording:
        """Write the rest to the disk and open the recording; *how* None is a run that was killed."""
        for writer in self._writers.values():
            writer.flush()
        log = EventLog(self.run)
        for event in sorted(self._events, key=lambda e: e.time_ns):
            log.append(event)
        log.close()
        self._events.clear()
        end_s = self.plan.phases.total_s + 3 if ended_s is None else ended_s
        manifest = Manifest(
            id=self.run.name,
            plan=self.plan,
            command=["harness", "run", self.plan.name],
            started_ns=at(-6),
            ended_ns=None if how is None else at(end_s),
            how=how,
            cause=cause,
            windows=windows_of(self.plan) if windows else [],
        )
        write_manifest(self.run, manifest)
        return Recording(self.run)


def chain_of(tenant: str, flow: str) -> Sequence[str]:
    """Return the services that a request passes through; only acme pays through provider-a."""
    own = "provider-a" if tenant == "acme" else "provider-b"
    return [own if service == "provider-a" else service for service in CHAINS[flow]]


def outcome_of(status: int, expected: int) -> Outcome:
    """Return how the load would have called an answer; 0 is none."""
    if status == expected:
        return Outcome.OK
    if status == 0:
        return Outcome.UNKNOWN
    return Outcome.REFUSED if status in (429, 503) else Outcome.FAILED


def arrivals_s(begin_s: float, end_s: float, rate: float) -> list[float]:
    """Return evenly spaced moments, the first half a gap after the beginning."""
    return [begin_s + (number + 0.5) / rate for number in range(round((end_s - begin_s) * rate))]


def windows_of(plan: Plan) -> list[PhaseWindow]:
    """Return the planned edges of all phases."""
    edges = {phase: at(plan.offset_s(phase)) for phase in Phase}
    lengths = {phase: round(plan.phases.seconds(phase) * NS_PER_S) for phase in Phase}
    return [PhaseWindow(phase=p, start_ns=edges[p], end_ns=edges[p] + lengths[p]) for p in Phase]
