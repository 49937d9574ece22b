"""The heat map tenant x time: impact in multiples of the limit, drawn as one stretchable strip a tenant."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.axis import Axis, Span
from harness.report.impact import FEW_SAMPLES, Impact
from harness.report.observed import Observed
from harness.report.words import times_limit

LEVELS = (0.5, 1.0, 2.0, 5.0)
LEVEL_NAMES = ("up to half its limit", "inside its limit", "up to 2× its limit", "up to 5×", "more than 5×")
_MOST_TENANTS = 20


@dataclass(frozen=True, slots=True)
class Cells:
    """All cells of one look in a row, as an SVG path in units of one bucket by one row."""

    look: str
    path: str


@dataclass(frozen=True, slots=True)
class PhaseWorst:
    """The worst bucket of a tenant in one phase."""

    phase: str
    level: int | None
    text: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One tenant."""

    tenant: str
    victim: bool
    cells: tuple[Cells, ...]
    worst: tuple[PhaseWorst, ...]
    ratios: tuple[float | None, ...]
    causes: tuple[str, ...]
    samples: tuple[int, ...]

    @property
    def summary(self) -> str:
        """What the picture says, for those who do not see it."""
        return "; ".join(f"{worst.phase}: {worst.text}" for worst in self.worst)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The rows, victims first, and the axis below them."""

    axis: Axis
    rows: tuple[HeatRow, ...]
    hidden: int  # tenants without a row of their own
    few: int = FEW_SAMPLES

    @property
    def phases(self) -> tuple[Span, ...]:
        """The phases on the axis."""
        return self.axis.phases()


def heat_map(observed: Observed) -> HeatMap | None:
    """Return the heat map; None where no request was recorded."""
    folded, axis = observed.tenant_impact, observed.coarse
    if folded is None or axis is None or not len(observed.requests):
        return None
    shown = [tenant for tenant in observed.tenants if tenant in folded.tenants]
    rows = (_row(observed, axis, tenant) for tenant in shown[:_MOST_TENANTS])
    return HeatMap(axis, tuple(rows), max(0, len(shown) - _MOST_TENANTS))


def _row(observed: Observed, axis: Axis, tenant: str) -> HeatRow:
    folded = observed.tenant_impact
    assert folded is not None
    number = folded.tenants.index(tenant)
    whole = folded.impact
    impact = Impact(whole.ratio[number], whole.measure[number], whole.samples[number], whole.clear[number])
    causes = [f"{flow} {measure}".strip() for flow, measure in zip(folded.flow[number], impact.measure, strict=True)]
    return HeatRow(
        tenant,
        tenant in observed.plan.scenario.blast_radius,
        tuple(_cells(impact)),
        tuple(_worst(impact, causes, axis, span) for span in axis.phases()),
        tuple(None if np.isnan(ratio) else float(f"{ratio:.2g}") for ratio in impact.ratio),
        tuple(causes),
        tuple(impact.samples.tolist()),
    )


def level_of(ratio: float) -> int:
    """Return the step of the colour scale."""
    return int(np.searchsorted(LEVELS, ratio, side="left"))


def _cells(impact: Impact) -> Iterator[Cells]:
    measured = ~np.isnan(impact.ratio)
    levels = np.searchsorted(LEVELS, np.nan_to_num(impact.ratio), side="left")
    for level in range(len(LEVELS) + 1):
        yield from _drawn(f"heat-{level}", measured & (levels == level), top=0.0, height=1.0)
    yield from _drawn("heat-few", measured & impact.few, top=0.0, height=1.0)
    yield from _drawn("heat-mark", impact.marked, top=0.78, height=0.22)


def _drawn(look: str, mask: NDArray[np.bool_], *, top: float, height: float) -> Iterator[Cells]:
    runs = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    parts = [
        f"M{begin} {top:g}h{end - begin}v{height:g}h-{end - begin}z" for begin, end in runs.reshape(-1, 2).tolist()
    ]
    if parts:
        yield Cells(look, "".join(parts))


def _worst(impact: Impact, causes: list[str], axis: Axis, span: Span) -> PhaseWorst:
    begin, end = round(span.left * axis.count), max(round((span.left + span.width) * axis.count), 1)
    ratios = impact.ratio[begin:end]
    if not len(ratios) or np.isnan(ratios).all():
        return PhaseWorst(span.name, None, "no data")
    marked = impact.marked[begin:end]
    worst = int(np.nanargmax(np.where(marked, ratios, -1) if marked.any() else ratios))
    ratio = float(ratios[worst])
    chance = "" if marked.any() or ratio <= 1 else ", may be chance"
    return PhaseWorst(span.name, level_of(ratio), f"{times_limit(ratio)} ({causes[begin + worst]}{chance})")
