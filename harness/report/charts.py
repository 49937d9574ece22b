"""Panels as SVG that stretches with the page: lines in a box of 1000 by 100, all text outside of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.report.panels import Panel, Series
from harness.report.requests import Floats

_WIDTH, _HEIGHT = 1000.0, 100.0
_MOST_TICKS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    style: int
    strong: bool
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: ticks are (share from the top, label)."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    limit: tuple[float, str] | None
    said: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to shares from the top."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: Floats | float) -> Floats:
        """Return the share from the top, clipped to the box."""
        if self.logarithmic:
            bottom, top = math.log10(self.low), math.log10(self.high)
            at = np.log10(np.maximum(np.asarray(value, dtype=float), 1e-9))
        else:
            bottom, top, at = self.low, self.high, np.asarray(value, dtype=float)
        placed: Floats = np.clip(1 - (at - bottom) / (top - bottom), 0.0, 1.0)
        return placed

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Return the places of round values."""
        values = _decades(self.low, self.high) if self.logarithmic else _steps(self.high)
        return tuple((float(self.place(value)), f"{value:g}") for value in values)


def draw(panel: Panel) -> Chart:
    """Draw one panel."""
    scale = _scale(panel)
    lines = (Line(s.name, s.style, s.strong, _path(s, scale)) for s in panel.series)
    limit = None if panel.limit is None else (float(scale.place(panel.limit)), f"{panel.limit:g} {panel.unit}")
    return Chart(panel.title, panel.unit, tuple(lines), scale.ticks(), limit, _said(panel))


def _scale(panel: Panel) -> Scale:
    values = np.concatenate([np.empty(0), *(series.values for series in panel.series)])
    values = values[np.isfinite(values)]
    top = max([panel.limit or 0.0, *(values.tolist() if len(values) else [])])
    if not panel.logarithmic:
        return Scale(0.0, 100.0 if panel.unit == "%" else _round_up(max(top, 1.0) * 1.05), False)
    positive = values[values > 0]
    low = float(positive.min()) if len(positive) else 1.0
    return Scale(10 ** math.floor(math.log10(max(low, 0.1))), max(top, low) * 1.3 + 1, True)


def _round_up(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value)


def _decades(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**exponent for exponent in exponents][-_MOST_TICKS:]


def _steps(high: float) -> list[float]:
    return [0.0, high / 2, high]


def _path(series: Series, scale: Scale) -> str:
    """Return the line; a gap in the values is a gap in the line, a value between two gaps a short dash."""
    step = _WIDTH / len(series.values)
    places = scale.place(np.nan_to_num(series.values)) * _HEIGHT
    return "".join(_strokes(np.isfinite(series.values).tolist(), places.tolist(), step))


def _strokes(known: list[bool], places: list[float], step: float) -> Iterator[str]:
    for number, (here, place) in enumerate(zip(known, places, strict=True)):
        if not here:
            continue
        before = number > 0 and known[number - 1]
        alone = not before and not (number + 1 < len(known) and known[number + 1])
        x = (number + 0.5) * step
        yield f"{'L' if before else 'M'}{x:.4g} {place:.3g}" + (f"h{step / 3:.3g}" if alone else "")


def _said(panel: Panel) -> str:
    """Say in words what the chart shows."""
    parts = []
    for series in panel.series:
        values = series.values[np.isfinite(series.values)]
        if len(values):
            parts.append(f"{series.name} {values.min():.3g} to {values.max():.3g} {panel.unit}")
    return f"{panel.title}: " + ("; ".join(parts) or "nothing recorded")
