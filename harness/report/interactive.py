"""What the page's script needs to draw charts that can be zoomed: compact JSON, bounded in points."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.report.axis import Axis, cut
from harness.report.heatmap import HeatMap
from harness.report.lanes import Lane
from harness.report.observed import Observed
from harness.report.panels import Panel, Series, panels
from harness.report.requests import fold

MOST_POINTS = 12_000
_MOST_BUCKETS = 2_000


def chart_data(observed: Observed, lanes: Sequence[Lane], heat: HeatMap | None) -> str:
    """Return the JSON; "null" where there is nothing to draw. It is safe inside a script element."""
    if observed.extent is None or observed.folded is None or not len(observed.requests):
        return "null"
    lines = max(1, sum(len(panel.series) for panel in panels(observed, observed.folded)))
    axis = cut(observed.extent, at_most=max(30, min(_MOST_BUCKETS, MOST_POINTS // lines)))
    drawn = panels(observed, fold(observed.requests, axis))
    content = {
        "start": axis.extent.at_s(axis.start_ns),
        "step": axis.width_s,
        "end": axis.extent.seconds,
        "phases": [[span.name, round(span.begin_s, 3), round(span.end_s, 3)] for span in axis.phases()],
        "panels": [_panel(panel) for panel in drawn],
        "lanes": [_lane(lane, axis) for lane in lanes],
        "heat": _heat(heat),
    }
    return _inside_html(json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def _inside_html(text: str) -> str:
    """Escape what could end or open an element; inside JSON strings these are the same characters."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "unit": panel.unit,
        "log": panel.logarithmic,
        "limit": panel.limit,
        "series": [_series(series) for series in panel.series],
    }


def _series(series: Series) -> dict[str, Any]:
    values = [
        float(f"{v:.3g}") if known else None for v, known in zip(series.values, np.isfinite(series.values), strict=True)
    ]
    return {"name": series.name, "style": series.style, "strong": series.strong, "y": values}


def _lane(lane: Lane, axis: Axis) -> dict[str, Any]:
    begin_s, end_s = axis.extent.at_s(axis.start_ns), axis.extent.seconds
    bars = [
        [round(max(begin_s, bar.begin_s), 3), round(min(end_s, bar.end_s), 3), bar.look, bar.text]
        for bar in lane.bars
        if bar.end_s > begin_s and bar.begin_s < end_s
    ]
    return {"kind": lane.kind, "name": lane.name, "note": lane.note if not bars else "", "bars": bars}


def _heat(heat: HeatMap | None) -> dict[str, Any] | None:
    if heat is None:
        return None
    rows = [[row.tenant, row.ratios, row.causes, row.samples] for row in heat.rows]
    start_s = heat.axis.extent.at_s(heat.axis.start_ns)
    return {"start": start_s, "step": heat.axis.width_s, "few": heat.few, "rows": rows}
