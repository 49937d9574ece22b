"""What the target says of itself: one of its metrics within a bound, in one phase."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from itertools import pairwise
from math import isinf
from operator import add

from harness.evidence.facts import Facts, Sample, UndecidableError
from harness.evidence.series import ANYTHING, Point, Range, Series, extreme, last, missing_tenants, series_of
from harness.evidence.series import increase as increase_of
from harness.model.files.metric_units import unit_factor
from harness.model.files.scenario import MetricCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S

_COUNTERS = ("_total", "_count", "_sum", "_bucket")
_GAPS = "There is a gap in its samples: it says nothing of what happened meanwhile. Is the service up, and scraped?"


def metric(facts: Facts, spec: MetricCheck) -> Iterable[Finding]:
    """Judge the metric; several series are added up for an increase, and judged by the worst of them otherwise."""
    phase = facts.phase(spec.phase)
    window = Window(phase.name, phase.start_ns + int(spec.after * NS_PER_S), phase.end_ns)
    factor = _factor(spec)
    found = series_of(facts, spec.name, spec.service, spec.labels)
    if not found:
        message = f"{_called(spec)} was never seen: does {spec.service or 'the target'} export it?"
        raise UndecidableError(Cause.TELEMETRY_LOST, message)
    ranges = [measured for series in found if (measured := _MEASURES[spec.measure](series, window)) is not None]
    if not ranges:
        raise UndecidableError(Cause.TELEMETRY_LOST, f"{_called(spec)} was not seen in the {window.name} window.")
    tenants = () if set(spec.labels) & {"tenant", "tenant.id", "tenant_id"} else tuple(facts.plan.scenario.load)
    missing = tuple(missing_tenants(found, tenants, window))
    if _is_gauge(spec, found):
        ranges = [ANYTHING]
    value = _together(spec, [*ranges, *([_of_missing(spec)] if missing else [])])
    samples = sum(len(series.points) for series in found)
    yield _finding(spec, _scaled(value, factor), samples, window, _why(spec, found, missing))


def _together(spec: MetricCheck, ranges: Sequence[Range]) -> Range:
    if spec.measure == "increase":
        return reduce(add, ranges)
    worst = max if spec.bound.is_upper else min
    return Range(worst(r.low for r in ranges), worst(r.high for r in ranges))


def _of_missing(spec: MetricCheck) -> Range:
    """A series that should be there adds an unknown amount, or is anything."""
    return Range(0.0, ANYTHING.high) if spec.measure == "increase" else ANYTHING


def _is_gauge(spec: MetricCheck, found: Sequence[Series]) -> bool:
    """Say whether an increase is asked of what falls without being called a counter."""
    if spec.measure != "increase" or spec.name.endswith(_COUNTERS):
        return False
    return any(_falls(series.points) for series in found)


def _falls(points: Sequence[Point]) -> bool:
    """A counter falls only to what it counted since a restart: to little of what it was."""
    return any(earlier.value / 2 < later.value < earlier.value for earlier, later in pairwise(points))


def _scaled(value: Range, factor: float) -> Range:
    return Range(value.low * factor, value.high * factor)


def _factor(spec: MetricCheck) -> float:
    try:
        return unit_factor(spec.name, spec.bound, spec.unit)
    except ValueError as error:
        raise UndecidableError(Cause.NOTHING_JUDGED, f"{error}.") from None


def _finding(spec: MetricCheck, value: Range, samples: int, window: Window, why: str) -> Finding:
    status = _status(spec.bound, value)
    return Finding(
        check="",
        subject=f"{_called(spec)} {spec.measure}",
        status=status,
        value=_shown(spec.bound, value),
        bound=str(spec.bound),
        samples=samples,
        window=window,
        cause=Cause.TELEMETRY_LOST if status is Status.UNKNOWN else None,
        reason={Status.UNKNOWN: why, Status.FAIL: spec.because}.get(status, ""),
    )


def _status(bound: Bound, value: Range) -> Status:
    """The whole range must be on one side of the bound."""
    ends = {bound.holds(value.low), bound.holds(value.high)}
    return Status.UNKNOWN if len(ends) > 1 else Status.PASS if True in ends else Status.FAIL


def _shown(bound: Bound, value: Range) -> str:
    if value.low == value.high:
        return bound.show(value.low)
    if isinf(value.low) and isinf(value.high):
        return "not known"
    if isinf(value.high):
        return f"at least {bound.show(value.low)}"
    if isinf(value.low):
        return f"at most {bound.show(value.high)}"
    return f"{bound.show(value.low)} to {bound.show(value.high)}"


def _why(spec: MetricCheck, found: Sequence[Series], missing: Sequence[str]) -> str:
    if missing:
        return f"There is no series of {', '.join(missing)}, which has load: does every tenant have one?"
    if _is_gauge(spec, found):
        return "It falls as a gauge does, and an increase is asked for: use max, min or last."
    return _GAPS


def _called(spec: MetricCheck) -> str:
    words = ", ".join(f"{name}={value}" for name, value in spec.labels.items())
    return f"{spec.name}{{{words}}}" if words else spec.name


def increase(samples: Sequence[Sample], window: Window) -> float | None:
    """Return by how much a counter grew at least, by its samples alone; None where none of them reaches *window*."""
    if not samples:
        return None
    points = {sample.time_ns: sample.value for sample in samples}
    series = Series(samples[0].service, samples[0].labels, [Point(t, points[t]) for t in sorted(points)], (), ())
    found = increase_of(series, window)
    if found is None:
        return None
    born = series.points[0].time_ns >= window.start_ns
    return found.low + (series.points[0].value if born else 0.0)


_MEASURES: Mapping[str, Callable[[Series, Window], Range | None]] = {
    "increase": increase_of,
    "max": partial(extreme, highest=True),
    "min": partial(extreme, highest=False),
    "last": last,
}
