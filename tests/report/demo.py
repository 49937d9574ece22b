"""Small but complete recordings, made up from a seed: a provider hangs and is contained, is not, or is never felt.

python -m tests.report.demo FOLDER    writes one report of each kind
"""

import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.model.files.scenario import Phase, Phases
from harness.model.result.finding import How, Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table
from harness.recording.manifest import Manifest, PhaseWindow, write_manifest
from harness.recording.reader import Recording
from harness.recording.writer import EventLog, SegmentWriter

T0 = 1_780_000_000 * NS_PER_S
LINK = "payments -> provider-a"
PHASES = {"warmup": "4s", "baseline": "16s", "fault": "20s", "recovery": "16s"}
CLAIM = (
    "When the payment provider of one tenant hangs, that tenant's checkout soon answers quickly with a clear error, "
    "browsing keeps its objective, and tenants on the other provider notice nothing."
)
TENANTS = ("acme", "globex", "initech")
LAWS = {"browse": (9.0, 0.35), "checkout": (95.0, 0.18)}  # median ms, sigma


def demo_plan(tenants: tuple[str, ...] = TENANTS, *, seed: int = 7, without: tuple[str, ...] = ()) -> Plan:
    """A plan for three services and two providers; the first tenant is the victim."""
    links = ["gateway -> orders", "gateway -> catalog", "orders -> payments", LINK, "payments -> provider-b"]
    services = ("gateway", "catalog", "orders", "payments", "provider-a", "provider-b")
    return Plan.model_validate(
        {
            "name": "payment-provider-hang",
            "seed": seed,
            "without": list(without),
            "phases": PHASES,
            "scenario": {
                "claim": CLAIM,
                "load": {tenant: {"browse": 6, "checkout": 4} for tenant in tenants},
                "faults": [{"link": LINK, "latency": "10s"}],
                "blast_radius": {tenants[0]: {"checkout": {"errors": "<= 100%", "p99": "< 1900ms"}}},
                "checks": [{"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "12s"}}],
            },
            "target": {
                "name": "demo-shop",
                "entry": "gateway",
                "services": {name: {"command": ["true"]} for name in services},
                "links": {link: {"env": "URL"} for link in links},
                "tenants": {tenant: {} for tenant in tenants},
                "flows": {
                    "browse": {"steps": [{"name": "list", "path": "/products"}, {"name": "product", "path": "/p"}]},
                    "checkout": {"steps": [{"name": "order", "method": "POST", "path": "/orders", "expect": 201}]},
                },
                "objectives": {
                    "browse": {"errors": "< 0.5%", "p95": "< 250ms"},
                    "checkout": {"errors": "< 1%", "p95": "< 600ms"},
                },
                "protections": {
                    "payments-breaker": {
                        "kind": "breaker",
                        "service": "payments",
                        "guards": [LINK],
                        "off": {"env": {"PROTECTIONS_OFF": "breaker"}},
                    }
                },
            },
        }
    )


def windows_of(phases: Phases) -> list[PhaseWindow]:
    """The planned edges from T0 on."""
    made, at_ns = [], T0
    for phase in Phase:
        end_ns = at_ns + int(phases.seconds(phase) * NS_PER_S)
        made.append(PhaseWindow(phase=phase, start_ns=at_ns, end_ns=end_ns))
        at_ns = end_ns
    return made


def at(seconds: float) -> int:
    """A moment on the run's axis."""
    return T0 + int(seconds * NS_PER_S)


FAULT_S, UNDONE_S = 20.0, 40.0
FAULT = Window("fault", at(FAULT_S), at(UNDONE_S))
BASELINE = Window("baseline", at(4), at(FAULT_S))
RECOVERY = Window("recovery", at(UNDONE_S), at(56))


@dataclass
class Demo:
    """Writes one recording; the breaker opens at `opens_s` (None: never)."""

    run: Path
    plan: Plan = field(default_factory=demo_plan)
    felt: bool = True
    opens_s: float | None = 21.3
    closes_s: float = 42.1
    spans: bool = True
    until_s: float = 56.0
    hurt_until_s: float = UNDONE_S + 2

    def __post_init__(self) -> None:
        self.random = random.Random(self.plan.seed)
        self.run.mkdir(parents=True, exist_ok=True)
        self.requests = SegmentWriter(self.run, Table.REQUESTS, source="load-0", max_rows=300)
        self.span_rows = SegmentWriter(self.run, Table.SPANS, source="otlp", max_rows=1000)
        self.events: list[Event] = []

    def write(self, *, how: How | None = How.COMPLETED) -> Recording:
        """Write everything and open it."""
        for arrival in self._arrivals():
            self._request(*arrival)
        self.requests.flush()
        self.span_rows.flush()
        self._metrics()
        self._events()
        ended = at(self.until_s + 2) if how else None
        write_manifest(
            self.run,
            Manifest(
                id=self.run.name,
                plan=self.plan,
                command=["/opt/venv/bin/harness", "run", self.plan.name],
                started_ns=T0 - 6 * NS_PER_S,
                ended_ns=ended,
                how=how,
                windows=windows_of(self.plan.phases),
                versions={"python": "3.11.2", "commit": "4922481", "tenant-resilience-harness": "0.1.0"},
                host={"system": "Linux 6.1", "machine": "x86_64", "cores": 2, "memory_bytes": 8 << 30},
            ),
        )
        return Recording(self.run)

    def _arrivals(self) -> Iterator[tuple[float, str, str]]:
        due = []
        for tenant, flows in self.plan.scenario.load.items():
            for flow, rate in flows.items():
                at_s = self.random.expovariate(rate)
                while at_s < self.until_s:
                    due.append((at_s, tenant, flow))
                    at_s += self.random.expovariate(rate)
        return iter(sorted(due))

    def _request(self, at_s: float, tenant: str, flow: str) -> None:
        for step in self.plan.target.flows[flow].steps:
            median_ms, sigma = LAWS[flow]
            latency_ms = self.random.lognormvariate(0, sigma) * median_ms
            answer = (step.expect, "ok", None, latency_ms)
            if flow == "checkout" and self.felt and FAULT_S <= at_s < self.hurt_until_s:
                answer = self._under_fault(at_s, tenant, latency_ms) or answer
            self._row(at_s, tenant, flow, step.name, answer)
            at_s += answer[3] / 1000

    def _under_fault(self, at_s: float, tenant: str, latency_ms: float) -> tuple[int, str, str | None, float] | None:
        victim = tenant in self.plan.scenario.blast_radius
        closed_again = at_s >= self.closes_s
        if self.opens_s is None:
            if victim:
                return 504, "failed", "deadline", 1500 + self.random.random() * 12
            slow_ms = latency_ms * 5 + self.random.random() * 700 * (at_s > 23)
            return (503, "refused", "overloaded", 220.0) if self.random.random() < 0.2 else (201, "ok", None, slow_ms)
        if not victim or closed_again:
            return None
        if at_s < self.opens_s:
            return 504, "failed", "deadline", 1500 + self.random.random() * 8
        if self.random.random() < 0.02:
            return 503, "refused", "payment_unavailable", 712.0
        return 503, "refused", "payment_unavailable", 9 + self.random.random() * 6

    def _row(self, at_s: float, tenant: str, flow: str, step: str, answer: tuple[int, str, str | None, float]) -> None:
        status, outcome, error, latency_ms = answer
        trace = self.random.randbytes(16)
        start = at(at_s) + int(self.random.random() * 1.5 * NS_PER_MS)
        end = start + int(latency_ms * NS_PER_MS)
        self.requests.append(
            (tenant, flow, step, at(at_s), start, end, status, outcome, error, trace, 512, status == 503, None)
        )
        if self.spans:
            self._trace(trace, tenant, flow, start, latency_ms, answer)

    def _trace(self, trace: bytes, tenant: str, flow: str, start: int, latency_ms: float, answer: Any) -> None:
        status, outcome, _, _ = answer
        failed = outcome != "ok"
        provider = "provider-a" if tenant in self.plan.scenario.blast_radius else "provider-b"
        chain = ["gateway", "catalog"] if flow == "browse" else ["gateway", "orders", "payments", provider]
        if outcome == "refused" and latency_ms < 100:
            chain = chain[:3]
        parent, spare_ms = self.random.randbytes(8), latency_ms
        for depth, service in enumerate(chain):
            begin, length = start + int(depth * 0.8 * NS_PER_MS), max(0.4, spare_ms - depth * 1.6)
            server = self.random.randbytes(8)
            last = depth == len(chain) - 1
            events = None
            if outcome == "refused" and last:
                noted = {
                    "name": "resilience.breaker.refused",
                    "time": begin,
                    "attributes": {"resilience.breaker.name": LINK},
                }
                events = json.dumps([noted])
            http = status if failed else 200
            self._span(
                (
                    trace,
                    server,
                    parent,
                    service,
                    f"GET /{service}",
                    "server",
                    begin,
                    length,
                    failed and not last,
                    tenant,
                    None,
                    http,
                    events,
                )
            )
            if not last:
                client = self.random.randbytes(8)
                if failed and chain[depth + 1] == "provider-a":
                    length = min(length, 700.0)
                link = f"{service} -> {chain[depth + 1]}"
                self._span(
                    (
                        trace,
                        client,
                        server,
                        service,
                        f"call {chain[depth + 1]}",
                        "client",
                        begin + 300_000,
                        length - 0.6,
                        failed,
                        tenant,
                        link,
                        http,
                        None,
                    )
                )
                parent = client

    def _span(self, span: tuple[Any, ...]) -> None:
        trace, own, parent, service, name, kind, begin, length_ms, failed, tenant, link, http, events = span
        end = begin + int(length_ms * NS_PER_MS)
        self.span_rows.append(
            (
                trace,
                own,
                parent,
                service,
                name,
                kind,
                begin,
                end,
                "error" if failed else "ok",
                tenant,
                link,
                0,
                http,
                None,
                events,
            )
        )

    def _metrics(self) -> None:
        writer = SegmentWriter(self.run, Table.METRICS, source="host")
        for second in range(int(self.until_s)):
            writer.append((at(second), "host", "host_cpu_busy_ratio", "{}", 0.35 + 0.1 * self.random.random()))
            for number, service in enumerate(self.plan.target.services):
                rss = (60 + 10 * number) * 2**20
                writer.append((at(second), service, "process_resident_memory_bytes", "{}", float(rss)))
                writer.append((at(second), service, "process_cpu_seconds_total", "{}", 0.05 * second))
        writer.flush()

    def _events(self) -> None:
        def note(at_s: float, what: Kind, **fields: Any) -> None:
            self.events.append(Event(at(at_s), what, fields))

        note(-6, Kind.RUN_STARTED, scenario=self.plan.name, seed=self.plan.seed)
        note(-2, Kind.STACK_STARTED, seconds=3.4)
        for phase in Phase:
            note(self.plan.offset_s(phase), Kind.PHASE_STARTED, phase=phase.value)
        self._fault_events()
        if self.opens_s is not None and self.felt:
            self._breaker_events(self.opens_s)
        log = EventLog(self.run)
        for event in self.events:
            if event.time_ns <= at(self.until_s + 2):
                log.append(event)
        log.close()

    def _fault_events(self) -> None:
        about = {"fault": "fault-1", "kind": "latency", "place": LINK}
        self.events.append(Event(at(FAULT_S + 0.02), Kind.FAULT_APPLIED, about))
        felt = {
            "fault": "fault-1",
            "connections": 6 if self.felt else 0,
            "bytes": 51_200,
            "first_observed_ns": at(20.4),
        }
        self.events.append(Event(at(UNDONE_S), Kind.FAULT_OBSERVED, felt))
        self.events.append(Event(at(UNDONE_S + 0.03), Kind.FAULT_UNDONE, {"fault": "fault-1", "by": "harness"}))
        self.events.append(
            Event(at(57), Kind.LOAD_ENDED, {"arrivals": 1600, "sent": 1600, "late": 0, "dropped": 0, "code": 0})
        )

    def _breaker_events(self, opens_s: float) -> None:
        def change(at_s: float, before: str, after: str) -> None:
            fields = {"service": "payments", "breaker": LINK, "from_state": before, "to_state": after, "tenant": "acme"}
            self.events.append(Event(at(at_s), Kind.BREAKER_CHANGED, fields))

        self.events.append(Event(at(20.9), Kind.DEADLINE_EXCEEDED, {"service": "orders", "tenant": "acme"}))
        change(opens_s, "closed", "open")
        probe_s, wait_s = opens_s + 2, 2.0
        while probe_s < UNDONE_S:
            change(probe_s, "open", "half_open")
            change(probe_s + 0.7, "half_open", "open")
            wait_s = min(8.0, wait_s * 2)
            probe_s += 0.7 + wait_s
        change(self.closes_s - 0.1, "open", "half_open")
        change(self.closes_s, "half_open", "closed")
        for tenth in range(int(opens_s * 10) + 1, int(self.closes_s * 10), 3):
            fields = {"service": "payments", "breaker": LINK, "tenant": "acme"}
            self.events.append(Event(at(tenth / 10), Kind.BREAKER_REFUSED, fields))


def write_demos(folder: Path) -> list[Path]:
    """Write a report of each kind; return their paths."""
    from harness.report.html import write_report
    from tests.report.verdicts import broken, held, not_felt

    without = demo_plan(without=("payments-breaker",))
    shutil.rmtree(folder, ignore_errors=True)  # segments and events are only ever appended
    kinds = (
        (Demo(folder / "held"), held()),
        (Demo(folder / "broken", plan=without, opens_s=None), broken()),
        (Demo(folder / "unknown", felt=False, opens_s=None), not_felt()),
    )
    return [write_report(demo.run, demo.write(), verdict) for demo, verdict in kinds]


if __name__ == "__main__":
    for path in write_demos(Path(sys.argv[1])):
        print(path)
