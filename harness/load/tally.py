"""What the load process counts: each second for the live display, over the whole run for its last event."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.load.arrivals import Arrival, Surge
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Outcome

LATE_NS = 20 * NS_PER_MS
"""An arrival that starts later than this after it was due is counted as late."""


@dataclass(slots=True)
class Tally:
    """Counts of the run so far, and of the second that is under way."""

    arrivals: int = 0  # due so far
    sent: int = 0  # of these: their first request went out
    late: int = 0  # of these: more than LATE_NS after they were due
    dropped: int = 0
    in_flight: int = 0
    error_answers: int = 0  # answers that were not the expected ones, where the target says that they name their trace
    untraceable: int = 0  # of these: they named none, or another
    due: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # tenant, flow, phase -> arrivals
    surges: Sequence[Surge] = ()
    is_guarded: bool = False  # then each second's message also tells every flow's errors and latencies
    surge_sent: Counter[str] = field(default_factory=Counter)  # fault -> arrivals of its tenant, sent, due under it
    _outcomes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _latencies_ns: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _lags_ns: list[int] = field(default_factory=list)
    _bad: Counter[tuple[str, str]] = field(default_factory=Counter)
    _ended_ns: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def started(self, arrival: Arrival, lag_ns: int) -> None:
        """Count an arrival whose first request goes out *lag_ns* after it was due."""
        self.sent += 1
        due_s = arrival.due_ns / NS_PER_S
        for surge in self.surges:
            self.surge_sent[surge.fault] += surge.tenant == arrival.tenant and surge.start_s <= due_s < surge.end_s
        self.late += lag_ns > LATE_NS
        self._lags_ns.append(lag_ns)

    def ended(self, tenant: str, flow: str, outcome: Outcome, latency_ns: int) -> None:
        """Count a request whose outcome is known, *latency_ns* after its intended start."""
        if self.is_guarded:
            self._bad[tenant, flow] += outcome is not Outcome.OK
            self._ended_ns[tenant, flow].append(latency_ns)
        self._outcomes[tenant][outcome.value] += 1
        if outcome is Outcome.DROPPED:
            self.dropped += 1
        else:
            self._latencies_ns[tenant].append(latency_ns)

    def take_second(self, tenants: Sequence[str]) -> dict[str, object]:
        """Return the progress message of the second that ends now, and begin the next.

        `sent` counts the requests whose outcome became known in it; dropped ones are not among them.
        """
        message: dict[str, object] = {
            "progress": {tenant: self._line(tenant) for tenant in tenants},
            "lag_p99_ms": _milliseconds(quantile(self._lags_ns, 0.99)),
            "in_flight": self.in_flight,
            **({"flows": self._take_flows()} if self.is_guarded else {}),
        }
        self._outcomes.clear()
        self._latencies_ns.clear()
        self._lags_ns.clear()
        return message

    def _take_flows(self) -> list[dict[str, object]]:
        """Return what guardrails look at: of each tenant and flow what was bad, and every latency."""
        pairs = [
            {
                "tenant": tenant,
                "flow": flow,
                "bad": self._bad[tenant, flow],
                "latencies_ms": [round(latency_ns / NS_PER_MS, 1) for latency_ns in ended_ns],
            }
            for (tenant, flow), ended_ns in self._ended_ns.items()
        ]
        self._bad.clear()
        self._ended_ns.clear()
        return pairs

    def _line(self, tenant: str) -> dict[str, object]:
        counts = {outcome.value: self._outcomes[tenant][outcome.value] for outcome in Outcome}
        p95_ms = _milliseconds(quantile(self._latencies_ns[tenant], 0.95))
        return {"sent": sum(counts.values()) - counts["dropped"], **counts, "p95_ms": p95_ms}


def quantile(values: Sequence[int], share: float) -> int | None:
    """Return the smallest value that at least *share* of *values* do not exceed; None of none."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)] if values else None


def _milliseconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / NS_PER_MS, 2)
