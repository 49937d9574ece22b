"""Before an interleaved run: which harm to a bystander its pairs of windows will find with 95 %."""

from collections.abc import Iterator
from math import exp, log

from harness.checks.unharmed import is_meant
from harness.evidence.requests import Pair
from harness.model.files.check_kinds.on_windows import UnharmedCheck
from harness.model.files.units import format_duration
from harness.model.run.calibration import MEASURES, USUAL_SCATTER
from harness.model.run.plan import Plan
from harness.statistics.pairs import detectable

_NO_PAIRS = "in one fault window harm cannot be told from chance: `design: {interleaved: {pairs: 8}}`"


def pairs_in_words(plan: Plan) -> list[str]:
    """Return what each `unharmed` check of the plan will be able to find, a line for each flow that it looks at."""
    specs = [entry.unharmed for entry in plan.scenario.checks if entry.unharmed]
    design, pairs = plan.scenario.design.interleaved, len(plan.window_pairs_s())
    if specs and design is None:
        return [f"TOO FEW   {_NO_PAIRS}"]
    lines = [line for spec in specs for line in _lines(plan, spec, pairs)]
    if design is not None:
        width, settle = format_duration(design.window), format_duration(design.settle)
        lines.insert(0, f"design    {pairs} random pairs of windows of {width}, the first {settle} of each left out")
    return lines


def _lines(plan: Plan, spec: UnharmedCheck, pairs: int) -> Iterator[str]:
    subjects = [pair for pair in _bystanders(plan) if is_meant(spec, pair)]
    effects = len(subjects) * len(MEASURES)
    for pair in subjects:
        found = ", ".join(_found(plan, spec, pair, measure, pairs, effects) for measure in MEASURES)
        is_known = plan.calibration is not None and plan.calibration.of(*pair, "p95") is not None
        source = "calibrated scatter" if is_known else "usual scatter; `harness calibrate` measures this machine's"
        yield f"will find {pair.tenant:<10} {pair.flow} worse by {found} ({source})"


def _found(plan: Plan, spec: UnharmedCheck, pair: Pair, measure: str, pairs: int, effects: int) -> str:
    figures = plan.calibration.of(*pair, measure) if plan.calibration else None
    scatter = figures.scatter if figures else USUAL_SCATTER[measure]
    beyond = detectable(pairs, scatter, effects=effects)
    if measure == "errors":
        return f"{min(1.0, spec.errors + beyond):.0%} errors"
    return f"{exp(min(log(spec.margin.limit) + beyond, 9.0)):.2g}x {measure}"


def _bystanders(plan: Plan) -> list[Pair]:
    loaded = [Pair(tenant, flow) for tenant, flows in plan.scenario.load.items() for flow in flows]
    return [pair for pair in loaded if pair not in plan.victims()]
