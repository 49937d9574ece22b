"""Logs, metrics and traces tell the same story: the same requests, counted three times."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from harness.evidence.counters import increase
from harness.evidence.facts import Facts, Sample, UndecidableError
from harness.model.files.scenario import Phase, SignalsCheck, SourceThreshold
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.recording.columns import Outcome, Table

_WHOLE = 0.9
_LONG_NS = 20 * NS_PER_S  # in a shorter stretch the second or so before its first scrape and after its last is much
_EDGES = 3
"""In a short stretch so many requests may lie on the other side of an edge."""


def signals(facts: Facts, spec: SignalsCheck) -> Iterator[Finding]:
    """Compare each source's count of a service's requests, tenant by tenant, with what the clients sent.

    Over all phases, and over the fault alone: what a source loses under the fault is little of the whole run.
    """
    times = _scrapes(facts, spec)
    whole = _between_scrapes(spec, times, facts.phase(Phase.BASELINE), facts.phase(Phase.RECOVERY))
    under = _between_scrapes(spec, times, facts.phase(Phase.FAULT), facts.phase(Phase.FAULT))
    for tenant in dict.fromkeys(pair.tenant for pair in facts.loaded):
        for source, count in _SOURCES.items():
            found = _finding(facts, tenant, source, count, spec, whole)
            worst = _finding(facts, tenant, source, count, spec, under, edges=_EDGES)
            is_worse = worst.status is Status.FAIL and found.status is Status.PASS
            yield replace(worst, value=f"{worst.value} under the fault") if is_worse else found


Count = Callable[[Facts, SignalsCheck, str, Window], int]


def _finding(
    facts: Facts, tenant: str, source: str, count: Count, spec: SignalsCheck, window: Window, *, edges: int = 0
) -> Finding:
    threshold: SourceThreshold = getattr(spec, source)
    seen, asked = count(facts, spec, tenant, window), _sent(facts, tenant, window)
    off = abs(seen - asked) / asked if asked else 1.0
    agrees = off <= threshold.tolerance or abs(seen - asked) <= edges
    return Finding(
        check="",
        subject=f"{source} of {tenant} at {spec.service}",
        status=Status.UNKNOWN if not asked else Status.PASS if agrees else Status.FAIL,
        value=f"{seen:,} of {asked:,} requests ({off:.1%} off)",
        bound=f"<= {threshold.tolerance:.1%} off",
        samples=asked,
        window=window,
        severity=threshold.severity,
        cause=None if asked else Cause.TOO_FEW_SAMPLES,
        reason="" if agrees else "A source that counts differently from the clients hides what happened.",
        tenant=tenant,
        measure=source,
        measured=Measured.of(off, "%"),
        limit=Bound("<=", threshold.tolerance, "%"),
    )


def _scrapes(facts: Facts, spec: SignalsCheck) -> list[int]:
    return sorted({s.time_ns for s in facts.metric(spec.metric) if s.service == spec.service})


def _between_scrapes(spec: SignalsCheck, times: list[int], first: Window, last: Window) -> Window:
    """Return the stretch of some phases that begins and ends with a scrape of the service, if it is most of them."""
    inside = [time for time in times if first.start_ns <= time <= last.end_ns]
    seen = (inside[-1] - inside[0]) / (last.end_ns - first.start_ns) if inside else 0.0
    if len(inside) < 2:
        raise UndecidableError(Cause.TELEMETRY_LOST, f"{spec.metric} of {spec.service} was scraped less than twice.")
    long_enough = last.end_ns - first.start_ns >= _LONG_NS
    if seen < _WHOLE and (long_enough or seen < _WHOLE / 2):
        message = f"{spec.metric} of {spec.service} was scraped over {seen:.0%} of {_named(first, last)} only."
        raise UndecidableError(Cause.TELEMETRY_LOST, message)
    return Window("between scrapes", inside[0], inside[-1])


def _named(first: Window, last: Window) -> str:
    return first.name if first.name == last.name else f"{first.name} to {last.name}"


def _sent(facts: Facts, tenant: str, window: Window) -> int:
    """Count the requests that ended in *window* with an answer of any kind."""
    rows = facts.requests.of(*(pair for pair in facts.loaded if pair.tenant == tenant))
    answered = rows.ended(Outcome.OK, Outcome.FAILED, Outcome.REFUSED)
    return int((answered & (rows.end_ns >= window.start_ns) & (rows.end_ns < window.end_ns)).sum())


def _counted(facts: Facts, spec: SignalsCheck, tenant: str, window: Window) -> int:
    series: dict[str, list[Sample]] = {}
    for sample in facts.metric(spec.metric, tenant=tenant):
        if sample.service == spec.service:
            series.setdefault(json.dumps(sample.labels, sort_keys=True), []).append(sample)
    after = Window(window.name, window.start_ns + 1, window.end_ns + 1)  # the scrape at its end counts, the first not
    return round(sum(increase(samples, after) or 0.0 for samples in series.values()))


def _server_spans(facts: Facts, spec: SignalsCheck, tenant: str, window: Window) -> int:
    where = (pc.field("service") == spec.service) & (pc.field("kind") == "server") & (pc.field("tenant") == tenant)
    return _ended_in(facts.recording.frame(Table.SPANS, ("end",), where=where)["end"], window)


def _log_lines(facts: Facts, spec: SignalsCheck, tenant: str, window: Window) -> int:
    ours = pc.starts_with(pc.field("body"), pattern=f"{spec.log} ") | (pc.field("body") == spec.log)
    where = (pc.field("service") == spec.service) & ours & (pc.field("tenant") == tenant)
    return _ended_in(facts.recording.frame(Table.LOGS, ("time",), where=where)["time"], window)


_SOURCES: Mapping[str, Count] = {"metrics": _counted, "traces": _server_spans, "logs": _log_lines}


def _ended_in(times: "pd.Series[int]", window: Window) -> int:
    moments = np.asarray(times, dtype=np.int64)
    return int(((moments >= window.start_ns) & (moments < window.end_ns)).sum())
