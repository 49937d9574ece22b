"""Was there a surplus to refuse, and who refused it: a limiter that says so, or a service in trouble?"""

import json
from collections.abc import Mapping

import numpy as np

from harness.evidence.agreement import disagree
from harness.evidence.counters import increase
from harness.evidence.facts import Facts, Sample
from harness.evidence.ids import key_of
from harness.evidence.requests import Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind

SOME_SURGE = 1.5
"""Below so many times the tenant's usual share there was no surplus."""

_LIMITERS: Mapping[str, Kind] = {
    "resilience_rate_limit_refused_total": Kind.RATE_LIMITED,
    "resilience_bulkhead_rejected_total": Kind.BULKHEAD_REJECTED,
    "resilience_breaker_refused_total": Kind.BREAKER_REFUSED,
}


def times_usual(facts: Facts, tenant: str) -> float:
    """Return how much more often the tenant's requests went out under the fault than in the baseline."""
    rows = facts.requests.of(*(pair for pair in facts.loaded if pair.tenant == tenant)).sent
    before, under = (_rate(rows, facts.phase(phase)) for phase in (Phase.BASELINE, Phase.FAULT))
    return under / before if before else float("inf")


def _rate(rows: Requests, window: Window) -> float:
    return int(rows.within(window).first.sum()) / ((window.end_ns - window.start_ns) / NS_PER_S)


def contradiction(facts: Facts, tenant: str, refused: Requests, window: Window) -> str:
    """Return both numbers where the target counts its refusals and did not make these; empty where it does not."""
    told = _by_traces(facts, refused)
    counted = _by_metrics(facts, tenant, window)
    if counted is None and not _tells(facts):
        return ""
    made = max(told, counted or 0)
    if made >= len(refused) or not disagree(made, len(refused)):
        return ""
    return f"{len(refused)} refused by the answers, {made} by the limiters"


def _tells(facts: Facts) -> bool:
    """Events tell who refused at the door, unless some of them were withheld."""
    at_the_door = facts.recording.events_of(Kind.RATE_LIMITED, Kind.BULKHEAD_REJECTED)
    return bool(at_the_door) and not facts.recording.events_of(Kind.TELEMETRY_LOST)


def _by_traces(facts: Facts, refused: Requests) -> int:
    keys = [key_of(facts.traces_of(kind)) for kind in _LIMITERS.values()]
    return int(np.isin(refused.trace_keys, np.concatenate(keys)).sum())


def _by_metrics(facts: Facts, tenant: str, window: Window) -> int | None:
    """Return what the limiters counted; a counter that names tenants counts for this one alone."""
    series: dict[str, list[Sample]] = {}
    for metric in _LIMITERS:
        for sample in facts.metric(metric):
            if sample.labels.get("tenant", tenant) == tenant:
                who = f"{metric} {sample.service} {json.dumps(sample.labels, sort_keys=True)}"
                series.setdefault(who, []).append(sample)
    wide = Window("", window.start_ns, window.end_ns + 2 * NS_PER_S)  # the last scrape comes late
    return round(sum(increase(samples, wide) or 0.0 for samples in series.values())) if series else None
