"""The charts over time, as numbers: latency of each flow, share not served, load, retries and refusals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.model.run.events import Kind
from harness.report.axis import Axis
from harness.report.impact import upper_limits
from harness.report.observed import Observed
from harness.report.requests import Floats, Folded, Ints

MOST_TENANTS = 8
_MOST_FLOWS = 4
_FIRST_INNER_STYLE = 4  # so that its lines look unlike those of the first tenants
_REFUSALS = {
    Kind.BREAKER_REFUSED: "breaker refused",
    Kind.BULKHEAD_REJECTED: "bulkhead full",
    Kind.RATE_LIMITED: "rate limited",
    Kind.DEADLINE_EXCEEDED: "deadline exceeded",
    Kind.RETRY_REFUSED: "retry refused",
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its values by bucket, NaN where there is nothing to say."""

    name: str
    style: int  # colour and dash; the same for one tenant in every panel
    strong: bool  # a victim
    values: Floats


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart above the common axis."""

    title: str
    unit: str
    logarithmic: bool
    series: tuple[Series, ...]
    limit: float | None = None


def panels(observed: Observed, folded: Folded) -> tuple[Panel, ...]:
    """Return all charts on the axis of *folded*; without requests none."""
    return (
        *_latencies(observed, folded),
        Panel("Not served", "%", False, tuple(_not_served(observed, folded))),
        Panel("Load, requests due", "/s", False, tuple(_load(observed, folded))),
        Panel("Retries, refusals", "/s", False, tuple(_inside(observed, folded.axis))),
    )


def drawn_tenants(observed: Observed) -> tuple[str, ...]:
    """Return the tenants that have lines of their own: victims and the hardest hit first."""
    return observed.tenants[:MOST_TENANTS]


def _latencies(observed: Observed, folded: Folded) -> Iterator[Panel]:
    p95_ms = folded.quantile_ms(0.95)
    for flow in observed.flows[:_MOST_FLOWS]:
        timeout_ms = observed.plan.target.flows[flow].timeout * 1000 if flow in observed.plan.target.flows else np.nan
        series = tuple(
            _series(observed, tenant, np.where(np.isinf(p95_ms[row]), timeout_ms, p95_ms[row]))
            for tenant in drawn_tenants(observed)
            for row, pair in enumerate(folded.pairs)
            if pair == (tenant, flow)
        )
        bound = upper_limits(observed.plan, flow).get("p95")
        yield Panel(f"{flow}, p95", "ms", True, series, bound.limit if bound else None)


def _series(observed: Observed, tenant: str, values: Floats) -> Series:
    victim = tenant in observed.plan.scenario.blast_radius
    return Series(tenant, observed.tenants.index(tenant), victim, values)


def _not_served(observed: Observed, folded: Folded) -> Iterator[Series]:
    for tenant, rows in _rows_by_tenant(observed, folded):
        sizes = folded.sizes[rows]
        worst = (100 * folded.bad[rows] / np.maximum(sizes, 1)).max(axis=0)
        yield _series(observed, tenant, np.where(sizes.sum(axis=0) > 0, worst, np.nan))


def _load(observed: Observed, folded: Folded) -> Iterator[Series]:
    for tenant, rows in _rows_by_tenant(observed, folded):
        yield _series(observed, tenant, _a_second(folded.sizes[rows].sum(axis=0), folded.axis))


def _rows_by_tenant(observed: Observed, folded: Folded) -> Iterator[tuple[str, list[int]]]:
    for tenant in drawn_tenants(observed):
        rows = [row for row, pair in enumerate(folded.pairs) if pair.tenant == tenant]
        if rows:
            yield tenant, rows


def _a_second(counts: Ints, axis: Axis) -> Floats:
    """Turn counts into rates; a bucket that hardly belongs to the run has none."""
    covered = axis.coverage()
    return np.where(covered > 0.25, counts / np.maximum(covered, 0.25) / axis.width_s, np.nan)


def _inside(observed: Observed, axis: Axis) -> Iterator[Series]:
    """What happened between the services, by kind; kinds that never happened have no line."""
    times = {"retries": observed.retried_ns} | {
        name: np.array([event.time_ns for event in observed.events(kind)], dtype=np.int64)
        for kind, name in _REFUSALS.items()
    }
    for style, (name, times_ns) in enumerate(times.items(), start=_FIRST_INNER_STYLE):
        bucket = axis.bucket(times_ns)
        counts = np.bincount(bucket[bucket >= 0], minlength=axis.count)
        if counts.any() or name == "retries":
            yield Series(name, style % MOST_TENANTS, name == "retries", _a_second(counts, axis))
