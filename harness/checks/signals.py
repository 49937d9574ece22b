"""Logs, metrics and traces tell the same story: the same requests, counted three times."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from harness.checks.metric import increase
from harness.evidence.facts import Facts, Sample, UndecidableError
from harness.model.files.scenario import Phase, SignalsCheck, SourceThreshold
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.recording.columns import Outcome, Table


def signals(facts: Facts, spec: SignalsCheck) -> Iterator[Finding]:
    """Compare each source's count of a service's requests, tenant by tenant, with what the clients sent."""
    window = _between_scrapes(facts, spec)
    for tenant in dict.fromkeys(pair.tenant for pair in facts.loaded):
        asked = _sent(facts, tenant, window)
        counts = {
            "metrics": _counted(facts, spec, tenant, window),
            "traces": _server_spans(facts, spec, tenant, window),
            "logs": _log_lines(facts, spec, tenant, window),
        }
        for source, count in counts.items():
            yield _finding(tenant, source, count, asked, spec, window)


def _finding(tenant: str, source: str, count: int, asked: int, spec: SignalsCheck, window: Window) -> Finding:
    threshold: SourceThreshold = getattr(spec, source)
    off = abs(count - asked) / asked if asked else 1.0
    agrees = off <= threshold.tolerance
    return Finding(
        check="",
        subject=f"{source} of {tenant} at {spec.service}",
        status=Status.UNKNOWN if not asked else Status.PASS if agrees else Status.FAIL,
        value=f"{count:,} of {asked:,} requests ({off:.1%} off)",
        bound=f"<= {threshold.tolerance:.1%} off",
        samples=asked,
        window=window,
        severity=threshold.severity,
        cause=None if asked else Cause.TOO_FEW_SAMPLES,
        reason="" if agrees else "A source that counts differently from the clients hides what happened.",
        tenant=tenant,
    )


def _between_scrapes(facts: Facts, spec: SignalsCheck) -> Window:
    """Return the longest stretch of the judged phases that begins and ends with a scrape of the service."""
    begin, end = facts.phase(Phase.BASELINE).start_ns, facts.phase(Phase.RECOVERY).end_ns
    times = sorted({s.time_ns for s in facts.metric(spec.metric) if s.service == spec.service})
    inside = [time for time in times if begin <= time <= end]
    if len(inside) < 2:
        raise UndecidableError(Cause.TELEMETRY_LOST, f"{spec.metric} of {spec.service} was scraped less than twice.")
    return Window("between scrapes", inside[0], inside[-1])


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


def _ended_in(times: "pd.Series[int]", window: Window) -> int:
    moments = np.asarray(times, dtype=np.int64)
    return int(((moments >= window.start_ns) & (moments < window.end_ns)).sum())
