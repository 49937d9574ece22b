"""Can the verdict be trusted: what the run says about its own health, one mark a line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from harness.model.result.finding import Finding, Status, Verdict
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.report.observed import Observed
from harness.report.words import FINDING_MARKS, Mark, count_of, milliseconds, share

LAG_LIMIT_MS = 20.0
BUSY_LIMIT = 0.7
_OK = Mark("✓", "ok", "good")
_WARN = Mark("!", "warning", "unsure")
_NOT_JUDGED = Mark("–", "not judged", "unsure")
_JUDGED = {
    "fault_applied": "fault applied",
    "fault_observed": "fault observed",
    "load_delivered": "load delivered",
    "steady_before": "steady before",
    "rollback": "rollback",
    "steady_after": "steady after",
    "isolation": "isolation",
}
_WHERE_JUDGED = {"recording_whole": "recording whole", "services_stayed_up": "services stayed up"}
"""Shown only where a verdict has them: those of earlier versions do not."""


@dataclass(frozen=True, slots=True)
class Trust:
    """One reason to believe, or not to."""

    name: str
    mark: Mark
    value: str


def trust(observed: Observed, verdict: Verdict) -> tuple[Trust, ...]:
    """Return all reasons: the findings that every run gets, then the generator, the machine and the telemetry."""
    found = {f.check for f in verdict.findings}
    shown = _JUDGED | {check: name for check, name in _WHERE_JUDGED.items() if check in found}
    judged = [_judged(name, [f for f in verdict.findings if f.check == check]) for check, name in shown.items()]
    return (*judged, _generator(observed), _machine(observed), _telemetry(observed))


def _judged(name: str, findings: Sequence[Finding]) -> Trust:
    if not findings:
        return Trust(name, _NOT_JUDGED, "not judged")
    status = next(status for status in Status if any(f.status is status for f in findings))
    gravest = [f for f in findings if f.status is status]
    mark = FINDING_MARKS[status]
    if len(findings) == 1:
        return Trust(name, mark, findings[0].value)
    if status is Status.PASS:
        return Trust(name, mark, f"{len(findings)} of {len(findings)}")
    return Trust(name, mark, f"{len(gravest)} of {len(findings)} {mark.word}: {gravest[0].subject}, {gravest[0].value}")


def _generator(observed: Observed) -> Trust:
    lag_ms = observed.requests.lag_quantile_ms(0.99)
    if lag_ms is None:
        return Trust("generator lag", _NOT_JUDGED, "no requests")
    return Trust("generator lag", _OK if lag_ms < LAG_LIMIT_MS else _WARN, f"p99 {milliseconds(lag_ms)}")


def _machine(observed: Observed) -> Trust:
    busy = metric(observed, "host_cpu_busy_ratio")
    if not len(busy):
        return Trust("machine busy", _NOT_JUDGED, "not recorded")
    return Trust("machine busy", _OK if busy.mean() < BUSY_LIMIT else _WARN, f"{share(round(float(busy.mean()), 2))}")


def metric(observed: Observed, name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return all values of one metric while the load was on."""
    where = pc.field("name") == name
    if observed.extent and observed.extent.phases:
        where &= (pc.field("time") >= observed.extent.zero_ns) & (pc.field("time") < observed.extent.end_ns)
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = observed.recording.arrow(
        Table.METRICS, ("value",), where=where
    )["value"].to_numpy()
    return values


def _telemetry(observed: Observed) -> Trust:
    lost = sum(event.number("count") for event in observed.events(Kind.TELEMETRY_LOST))
    spans = observed.recording.rows(Table.SPANS)
    if lost:
        return Trust("telemetry", _WARN, f"{count_of(int(lost), 'record')} lost")
    return Trust("telemetry", _OK if spans else _WARN, count_of(spans, "span") + (", none lost" if spans else ""))
