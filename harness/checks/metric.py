"""What the target says of itself: one of its metrics within a bound, in one phase."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from harness.evidence.facts import Facts, Sample, UndecidableError
from harness.model.files.scenario import MetricCheck
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S

_EDGE_NS = 2 * NS_PER_S
"""Metrics are scraped every second or so: a counter's value at an edge is the last one seen before it."""


def metric(facts: Facts, spec: MetricCheck) -> Iterable[Finding]:
    """Judge the metric; several series are added up for an increase, and judged by the worst of them otherwise."""
    phase = facts.phase(spec.phase)
    window = Window(phase.name, phase.start_ns + int(spec.after * NS_PER_S), phase.end_ns)
    series = _series(facts, spec)
    if not series:
        message = f"{_called(spec)} was never seen: does {spec.service or 'the target'} export it?"
        raise UndecidableError(Cause.TELEMETRY_LOST, message)
    values = [v for samples in series if (v := _MEASURES[spec.measure](samples, window)) is not None]
    if not values:
        raise UndecidableError(Cause.TELEMETRY_LOST, f"{_called(spec)} was not seen in the {window.name} window.")
    value = sum(values) if spec.measure == "increase" else (max if spec.bound.is_upper else min)(values)
    holds = spec.bound.holds(value)
    yield Finding(
        check="",
        subject=f"{_called(spec)} {spec.measure}",
        status=Status.PASS if holds else Status.FAIL,
        value=spec.bound.show(value),
        bound=str(spec.bound),
        samples=sum(len(samples) for samples in series),
        window=window,
        reason="" if holds else spec.because,
    )


def _called(spec: MetricCheck) -> str:
    words = ", ".join(f"{name}={value}" for name, value in spec.labels.items())
    return f"{spec.name}{{{words}}}" if words else spec.name


def _series(facts: Facts, spec: MetricCheck) -> Sequence[Sequence[Sample]]:
    by_series: dict[tuple[str, str], list[Sample]] = {}
    for sample in facts.metric(spec.name, **spec.labels):
        if spec.service in (None, sample.service):
            by_series.setdefault((sample.service, repr(sorted(sample.labels.items()))), []).append(sample)
    return list(by_series.values())


def _inside(samples: Sequence[Sample], window: Window) -> list[float]:
    return [s.value for s in samples if window.start_ns <= s.time_ns < window.end_ns]


def increase(samples: Sequence[Sample], window: Window) -> float | None:
    """Return by how much a counter grew; a process that restarts counts from 0 again."""
    before = [s for s in samples if window.start_ns - _EDGE_NS <= s.time_ns < window.start_ns][-1:]
    values = [s.value for s in before] + _inside(samples, window)
    if not values:
        return None
    if not before and samples[0].time_ns >= window.start_ns:
        values = [0.0, *values]  # the series was born in the window
    return sum(later - earlier if later >= earlier else later for earlier, later in pairwise(values))


def _last(samples: Sequence[Sample], window: Window) -> float | None:
    inside = _inside(samples, window)
    return inside[-1] if inside else None


_MEASURES: Mapping[str, Callable[[Sequence[Sample], Window], float | None]] = {
    "increase": increase,
    "max": lambda samples, window: max(_inside(samples, window), default=None),
    "min": lambda samples, window: min(_inside(samples, window), default=None),
    "last": _last,
}
