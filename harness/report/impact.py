"""Impact: how far a tenant's latency or errors were from what it was promised, as a multiple of the limit.

A cell is marked only if it cannot be chance: its own samples exclude the limit, or it is one of several in a row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.evidence.requests import Pair
from harness.model.files.target import Objective
from harness.model.files.units import Bound
from harness.model.run.plan import Plan
from harness.report.requests import Floats, Folded, Ints

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
FEW_SAMPLES = 5
_IN_A_ROW = 3
_CHANCE = 0.01
_WORST_RATIO = 1000.0

Mask = NDArray[np.bool_]


def objective_of(plan: Plan, flow: str) -> Objective | None:
    """Return what tenants were promised for *flow*: by the target, else by the scenario's own check of it."""
    promised = plan.target.objectives.get(flow)
    asked = (entry.objective for entry in plan.scenario.checks if entry.objective and entry.objective.flow == flow)
    return promised or next(asked, None)


def upper_limits(plan: Plan, flow: str) -> dict[str, Bound]:
    """Return the upper bounds of *flow*'s objective by measure: errors, p50, p95, p99."""
    objective = objective_of(plan, flow)
    measures = objective.measures() if objective else {}
    return {name: bound for name, bound in measures.items() if bound.is_upper}


@dataclass(frozen=True, slots=True)
class Impact:
    """How hard something was hit, in cells; every array has the same shape."""

    ratio: Floats  # value / limit of the worst measure; NaN where nothing was measured
    measure: NDArray[np.object_]  # which measure that is: "errors", "p95"
    samples: Ints
    clear: Mask  # the cell's own samples exclude the limit

    @property
    def over(self) -> Mask:
        """Cells above the limit, chance or not."""
        return np.nan_to_num(self.ratio) > 1

    @property
    def marked(self) -> Mask:
        """Cells above the limit that chance does not explain."""
        return self.over & (self.clear | _in_a_row(self.over))

    @property
    def few(self) -> Mask:
        """Cells with so few samples that their colour says little."""
        return (self.samples > 0) & (self.samples < FEW_SAMPLES)


def impact_of(plan: Plan, folded: Folded) -> Impact:
    """Return the impact on each pair in each bucket; flows without a promise have none (NaN)."""
    shape = folded.sizes.shape
    made = Impact(np.full(shape, np.nan), np.full(shape, "", dtype=object), folded.sizes, np.zeros(shape, bool))
    for row, pair in enumerate(folded.pairs):
        for name, bound in upper_limits(plan, pair.flow).items():
            _raise_to(made, row, name, *_measured(folded, row, name, bound))
    return made


def _measured(folded: Folded, row: int, name: str, bound: Bound) -> tuple[Floats, Mask]:
    """Return value / limit of one measure in each bucket, and where its samples exclude the limit."""
    sizes = folded.sizes[row]
    if name == "errors":
        bad, allowed = folded.bad[row], bound.limit
        value: Floats = np.where(sizes > 0, bad / np.maximum(sizes, 1), np.nan)
    else:
        bad, allowed = folded.slower_than(bound.limit)[row], 1 - QUANTILES[name]
        value = folded.quantile_ms(QUANTILES[name])[row]
    return _ratio(value, bound.limit), exceeds(bad, sizes, allowed)


def _ratio(value: Floats, limit: float) -> Floats:
    """Return value / limit, capped; a limit of zero is passed by anything."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = value / limit if limit > 0 else np.where(value > 0, np.inf, value)
    return np.minimum(ratio, _WORST_RATIO)


def _raise_to(impact: Impact, row: int, name: str, ratio: Floats, clear: Mask) -> None:
    worse = ~np.isnan(ratio) & ~(ratio <= impact.ratio[row])
    impact.ratio[row, worse] = ratio[worse]
    impact.measure[row, worse] = name
    impact.clear[row] |= clear & (ratio > 1)


def exceeds(bad: Ints, sizes: Ints, allowed: float) -> Mask:
    """Say where *bad* of *sizes* would be a chance below 1 % if the true share were *allowed* (Chernoff's bound)."""
    if allowed <= 0:
        return bad > 0
    size = np.maximum(sizes, 1)
    seen = np.clip(bad / size, 1e-12, 1 - 1e-12)
    distance = seen * np.log(seen / allowed) + (1 - seen) * np.log((1 - seen) / max(1 - allowed, 1e-12))
    return (seen > allowed) & (np.exp(-size * distance) < _CHANCE)


def _in_a_row(over: Mask) -> Mask:
    """Say which cells belong to a run of so many in a row along the last axis."""
    rows = np.atleast_2d(over)
    inside = np.zeros_like(rows)
    for first in range(rows.shape[1] - _IN_A_ROW + 1):
        run = rows[:, first : first + _IN_A_ROW].all(axis=1)
        inside[run, first : first + _IN_A_ROW] = True
    return inside.reshape(over.shape)


@dataclass(frozen=True, slots=True)
class TenantImpact:
    """The impact on each tenant: in each bucket that of its worst flow."""

    tenants: tuple[str, ...]
    impact: Impact
    flow: NDArray[np.object_]  # whose impact that is


def by_tenant(impact: Impact, pairs: tuple[Pair, ...]) -> TenantImpact:
    """Fold flows: marked if any flow is, coloured by the worst, with that flow's samples."""
    tenants = tuple(dict.fromkeys(pair.tenant for pair in pairs))
    shape = (len(tenants), impact.ratio.shape[1])
    folded = Impact(
        np.full(shape, np.nan), np.full(shape, "", object), np.zeros(shape, np.int64), np.zeros(shape, bool)
    )
    flows = np.full(shape, "", dtype=object)
    marked = impact.marked
    for row, pair in enumerate(pairs):
        to = tenants.index(pair.tenant)
        worse = ~np.isnan(impact.ratio[row]) & ~(impact.ratio[row] <= folded.ratio[to])
        for target, source in zip(_columns(folded), _columns(impact), strict=True):
            target[to, worse] = source[row, worse]
        flows[to, worse] = pair.flow
        folded.clear[to] |= marked[row]
    return TenantImpact(tenants, folded, flows)


def _columns(impact: Impact) -> tuple[NDArray[np.generic], ...]:
    return impact.ratio, impact.measure, impact.samples
