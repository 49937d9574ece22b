"""How tightly services hang together, read off the traces of a healthy stretch: a distributed monolith shows here."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from harness.checks.blame import SpanLine, Trace, load_traces
from harness.evidence.completeness import are_complete
from harness.evidence.facts import Facts, UndecidableError
from harness.evidence.ids import Ids, hex_of
from harness.evidence.requests import Requests
from harness.model.files.scenario import CouplingCheck, Phase
from harness.model.files.target import ServiceKind, ends_of
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Measured, Status
from harness.recording.columns import Outcome
from harness.statistics.shares import FEWEST

QUANTILE = 0.95
"""A trace in twenty may be odd; what the rest does is how the system is built."""

_ENOUGH_TRACES = 1000


def coupling(facts: Facts, spec: CouplingCheck) -> Iterator[Finding]:
    """Judge depth, fan-out and chattiness flow by flow, and the databases that more than one service calls."""
    if not facts.spans:
        raise UndecidableError(Cause.TELEMETRY_LOST, "No spans were recorded: do the services export their traces?")
    whole = _whole_traces(facts)
    databases = {name for name, service in facts.plan.target.services.items() if service.kind is ServiceKind.POSTGRES}
    callers: dict[str, set[str]] = defaultdict(set)
    for flow in dict.fromkeys(pair.flow for pair in facts.loaded):
        rows = _healthy(facts, flow)
        rows = rows.only(np.isin(rows.trace_keys, whole))  # what a trace lost would make it look shallow
        traces = load_traces(facts.recording, rows.trace_keys)
        for trace in traces:
            _note_callers(trace, databases, callers)
        for name, measure in _MEASURES.items():
            bound: Bound | None = getattr(spec, name)
            if bound is not None:
                counts = [measure(_hops(trace, databases)) for trace in traces]
                yield _finding(facts, flow, name, bound, counts, rows)
    yield from _stores(callers, databases, spec.shared_stores)


def _whole_traces(facts: Facts) -> Ids:
    keys = facts.everything.within(facts.phase(Phase.BASELINE)).trace_keys
    return np.unique(keys[are_complete(facts.recording, keys, entry=facts.plan.target.entry)])


def _healthy(facts: Facts, flow: str) -> Requests:
    """Return requests of a flow from before the fault that went well, evenly spread."""
    pairs = [pair for pair in facts.loaded if pair.flow == flow]
    rows = facts.requests.of(*pairs).within(facts.phase(Phase.BASELINE))
    rows = rows.only(rows.ended(Outcome.OK))
    return rows.only(np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _ENOUGH_TRACES)).astype(np.int64)))


Hops = Mapping[int, SpanLine]
"""The synchronous calls between services of one trace, by span, with each span's nearest call above it as parent."""


def _hops(trace: Trace, databases: set[str]) -> Hops:
    by_id = {span.id: span for span in trace.spans}

    def is_hop(span: SpanLine) -> bool:
        return span.link is not None and ends_of(span.link)[1] not in databases

    def nearest_above(span: SpanLine) -> int | None:
        above, steps = span.parent, 0
        while above in by_id and not is_hop(by_id[above]) and steps < len(by_id):
            above, steps = by_id[above].parent, steps + 1
        return above if above in by_id else None

    return {
        span.id: SpanLine(span.id, nearest_above(span), span.link, span.start_ns, span.end_ns, span.failed)
        for span in trace.spans
        if is_hop(span)
    }


def depth(hops: Hops) -> int:
    """Return the longest chain of calls, each waiting for the next."""

    def of(span: SpanLine) -> int:
        steps, above = 1, span.parent
        while above is not None and above in hops and steps <= len(hops):
            steps, above = steps + 1, hops[above].parent
        return steps

    return max((of(span) for span in hops.values()), default=0)


def fan_out(hops: Hops) -> int:
    """Return how many different services one service calls to answer one request."""
    called: dict[int | None, set[str | None]] = defaultdict(set)
    for span in hops.values():
        called[span.parent].add(span.link)
    return max((len(links) for links in called.values()), default=0)


def chattiness(hops: Hops) -> int:
    """Return how often one service calls the same other one to answer one request."""
    calls = Counter((span.parent, span.link) for span in hops.values())
    return max(calls.values(), default=0)


_MEASURES: Mapping[str, Callable[[Hops], int]] = {"depth": depth, "fan_out": fan_out, "chattiness": chattiness}


def _finding(facts: Facts, flow: str, name: str, bound: Bound, counts: Sequence[int], rows: Requests) -> Finding:
    window, subject = facts.phase(Phase.BASELINE), f"{flow} {name.replace('_', '-')}"
    seen = [count for count in counts if count]
    if len(seen) < FEWEST:
        reason = f"{len(seen)} whole traces with calls between services cannot decide it: load the flow more."
        return Finding(
            "", subject, Status.UNKNOWN, f"{len(seen)} traces", str(bound), len(seen), window,
            cause=Cause.TOO_FEW_SAMPLES, reason=reason, flow=flow, measure=name, limit=bound,
        )  # fmt: skip
    value = float(np.quantile(seen, QUANTILE, method="higher"))
    status = Status.PASS if bound.holds(value) else Status.FAIL
    worst = int(np.argmax(counts))
    shown = (Evidence(f"{counts[worst]} in this one", hex_of(rows.trace[worst])),) if status is Status.FAIL else ()
    return Finding(
        "", subject, status, f"{value:g}", str(bound), len(seen), window,
        reason="" if status is Status.PASS else "One answer waits for more of the system than it was built to.",
        evidence=shown, flow=flow, measure=name, measured=Measured.of(value, ""), limit=bound,
    )  # fmt: skip


def _note_callers(trace: Trace, databases: set[str], callers: dict[str, set[str]]) -> None:
    for span in trace.spans:
        if span.link is not None:
            caller, callee = ends_of(span.link)
            if callee in databases:
                callers[callee].add(caller)


def _stores(callers: Mapping[str, set[str]], databases: set[str], bound: Bound | None) -> Iterator[Finding]:
    if bound is None:
        return
    shared = {store: sorted(services) for store, services in sorted(callers.items()) if len(services) > 1}
    told = "; ".join(f"{store}: {', '.join(services)}" for store, services in shared.items())
    status = Status.PASS if bound.holds(len(shared)) else Status.FAIL
    reason = ""
    if not callers:
        status = Status.NOT_EXERCISED
        reason = "No trace shows a call to a database." if databases else "The target declares no database."
    yield Finding(
        "", "shared stores", status, told or "none", str(bound), len(callers), None,
        reason=reason, measure="shared_stores", measured=Measured.of(len(shared), ""), limit=bound,
    )  # fmt: skip
