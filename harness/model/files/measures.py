"""What each bound of a scenario or target measures: its direction, its unit and its range, in one place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.model.base import Spec
from harness.model.files.check_kinds.on_windows import UnharmedCheck
from harness.model.files.design import Interleaved
from harness.model.files.leaks import Leak
from harness.model.files.scenario import (
    Backoff,
    BreakerCheck,
    CouplingCheck,
    DeadlineCheck,
    Guardrail,
    ImpactCheck,
    MetricCheck,
    RecoveryCheck,
    RefusalsCheck,
    RetriesCheck,
    TraceCheck,
)
from harness.model.files.target import Defaults, Flow, Objective
from harness.model.files.units import Bound


@dataclass(frozen=True, slots=True)
class Shape:
    """What a bound of one measure looks like; the range is that of the measure itself."""

    units: tuple[str, ...]
    example: str
    upper: bool | None = True  # None: either direction makes sense
    least: float = 0.0
    most: float | None = None

    def problem(self, bound: Bound) -> str | None:
        """Say what is wrong with *bound*; None where nothing is."""
        if bound.unit not in self.units:
            wanted = " or ".join(f"{unit!r}" if unit else "none" for unit in self.units)
            return f"expected a bound with the unit {wanted} such as '{self.example}', got '{bound.written()}'"
        if self.upper is not None and bound.is_upper is not self.upper:
            side = "upper" if self.upper else "lower"
            return f"the wrong way round: expected {side} bound such as '{self.example}', got '{bound.written()}'"
        return self._out_of_range(bound)

    def _out_of_range(self, bound: Bound) -> str | None:
        if self.most is not None and bound.limit > self.most:
            return f"'{bound.written()}' is outside the measure's range: at most {bound.show(self.most)}"
        if bound.limit < self.least:
            return f"'{bound.written()}' is outside the measure's range: at least {bound.show(self.least)}"
        never = (bound.op == "<" and bound.limit == self.least) or (bound.op == ">" and bound.limit == self.most)
        return f"'{bound.written()}' can never hold" if never else None


_LATENCY = Shape(("ms",), "< 250ms", least=0.001)
_ERRORS = Shape(("%",), "< 1%", most=1.0)
_AT_LEAST = Shape(("%",), ">= 99%", upper=False, most=1.0)
_COUNT = Shape(("",), "<= 3")
_TIMES = Shape(("x",), "<= 1.5x", least=1.0)

SHAPES: Mapping[tuple[type[Spec], str], Shape] = {
    (Objective, "errors"): _ERRORS,
    (Objective, "p50"): _LATENCY,
    (Objective, "p95"): _LATENCY,
    (Objective, "p99"): _LATENCY,
    (Objective, "slowdown"): _TIMES,
    (Defaults, "errors"): _ERRORS,
    (Defaults, "slowdown"): _TIMES,
    (Leak, "slowdown"): _TIMES,
    (RetriesCheck, "amplification"): Shape(("",), "<= 1.3", least=1.0),
    (TraceCheck, "complete"): _AT_LEAST,
    (TraceCheck, "errors_name_it"): _AT_LEAST,
    (RefusalsCheck, "share"): Shape(("%",), ">= 30%", upper=None, most=1.0),
    (ImpactCheck, "p95"): Shape(("", "x"), ">= 3", upper=None, least=0.001),
    (MetricCheck, "bound"): Shape(("", "%", "ms"), "<= 5", upper=None),
    (CouplingCheck, "depth"): _COUNT,
    (CouplingCheck, "fan_out"): _COUNT,
    (CouplingCheck, "chattiness"): _COUNT,
    (CouplingCheck, "shared_stores"): _COUNT,
    (UnharmedCheck, "margin"): Shape(("x", ""), "<= 1.2x", least=1.0),
    (Guardrail, "errors"): Shape(("%",), "> 20%", upper=False, most=1.0),
    (Guardrail, "p95"): Shape(("ms",), "> 2s", upper=False, least=0.001),
}

SPANS: Mapping[type[Spec], tuple[str, ...]] = {
    BreakerCheck: ("opens_within", "closes_within", "refuses_within"),
    Backoff: ("first", "longest"),
    RecoveryCheck: ("within",),
    DeadlineCheck: ("within", "share"),
    RefusalsCheck: ("within",),
    Guardrail: ("over",),
    Flow: ("timeout",),
    Interleaved: ("window",),
    UnharmedCheck: ("errors",),
    Leak: ("errors", "slow"),
}
"""Durations and shares that mean nothing at zero."""

Location = tuple[str | int, ...]


def problems(spec: Spec, at: Location = ()) -> Iterator[tuple[Location, str]]:
    """Return what is wrong with the bounds and durations of *spec* and of all within it, each with its place."""
    for name, field in type(spec).model_fields.items():
        value, place = getattr(spec, name), (*at, field.alias or name)
        if isinstance(value, Bound) and (shape := _shape(spec, name)) and (problem := shape.problem(value)):
            yield place, f"{name}: {problem}"
        elif value == 0 and not isinstance(value, bool) and name in _spans(spec):
            yield place, f"{name}: zero means nothing here"
        else:
            yield from _within(value, place)


def _within(value: object, at: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(value, Spec):
        yield from problems(value, at)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _within(part, (*at, key))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _within(part, (*at, index))


def _shape(spec: Spec, name: str) -> Shape | None:
    return next((shape for (model, field), shape in SHAPES.items() if field == name and isinstance(spec, model)), None)


def _spans(spec: Spec) -> tuple[str, ...]:
    return tuple(name for model, names in SPANS.items() if isinstance(spec, model) for name in names)
