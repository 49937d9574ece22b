"""Were bystanders worse off while the fault was there? Judged from random pairs of windows, with and without it.

What neighbouring windows share (the machine, its hiccups, the time of day) falls out of their difference, and intervals
come from the scatter between pairs, so requests need not be independent. Three answers: contained, leaked, open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from harness.checks.under_fault import harm_of
from harness.evidence.facts import Facts
from harness.evidence.pairs import Differences, Floats, RealPair, differences, real_pairs
from harness.evidence.requests import Pair
from harness.model.files.check_kinds.on_windows import UnharmedCheck
from harness.model.files.design import FEWEST_PAIRS
from harness.model.files.scenario import Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status
from harness.model.run.calibration import MEASURES
from harness.model.run.promises import levels_of
from harness.statistics.containment import CONFIDENCE, Judged, against_margins
from harness.statistics.pairs import MOST_PAIRS, Contained, Effect, effects_of, less_reference
from harness.statistics.power import rows_to_notice, would_notice

_MOST_TAKEN_OFF = 0.5
"""Of the margin: what the reference shares with everybody may still be harm to everybody."""

_TAIL = 0.05
_SINGLE = "A run of one fault window cannot tell harm from chance here: give the scenario `design: {interleaved: {}}`."


def unharmed(facts: Facts, spec: UnharmedCheck) -> Iterator[Finding]:
    """Judge median, p95 and errors of every bystander's flow between the windows of all pairs."""
    subjects = [p for p in facts.bystanders if is_meant(spec, p)]
    if not subjects:
        yield replace(_blank(facts, spec, "bystanders"), status=Status.NOT_EXERCISED, reason="Nobody is a bystander.")
        return
    if facts.plan.scenario.design.interleaved is None:
        yield _blank(facts, spec, "bystanders").undecided(Cause.NOTHING_JUDGED, _SINGLE)
        return
    yield from _judged(facts, spec, subjects)


def is_meant(spec: UnharmedCheck, pair: Pair) -> bool:
    """Say whether the check looks at this flow of this tenant."""
    return pair.tenant in (spec.tenants or (pair.tenant,)) and pair.flow in (spec.flows or (pair.flow,))


def _judged(facts: Facts, spec: UnharmedCheck, subjects: Sequence[Pair]) -> Iterator[Finding]:
    pairs = real_pairs(facts)
    asked = len(facts.plan.window_pairs_s())
    cases = [_case(facts, spec, pair, measure, pairs) for pair in subjects for measure in MEASURES]
    decided = [case for case in cases if len(case.series) >= FEWEST_PAIRS]
    judged = against_margins([case.series for case in decided], [case.margin for case in decided])
    found = dict(zip(((case.pair, case.measure) for case in decided), judged, strict=True))
    for case in cases:
        outcome = found.get((case.pair, case.measure))
        yield _finding(case, outcome) if outcome else _too_few(case, len(pairs), asked)


@dataclass(frozen=True, slots=True)
class _Case:
    """One measure of one bystander's flow."""

    facts: Facts
    spec: UnharmedCheck
    pair: Pair
    measure: str
    seen: Differences
    series: Floats  # what is judged: known differences, less what the reference explains
    margin: float

    @property
    def blank(self) -> Finding:
        """The finding before it is decided."""
        named = f"{self.pair.tenant} {self.pair.flow} {self.measure} with the fault against without"
        found = replace(_blank(self.facts, self.spec, named), tenant=self.pair.tenant, flow=self.pair.flow)
        return replace(found, samples=self.seen.rows, measure=self.measure, bound=str(self.limit), limit=self.limit)

    @property
    def limit(self) -> Bound:
        """The margin as a bound: a factor, or a share of the answers."""
        if self.measure == "errors":
            return Bound("<=", self.margin, "%")
        return Bound("<=", round(exp(self.margin), 6), "x")

    def number(self, value: float) -> float:
        """Return a difference as people read it: a factor, or a share."""
        return value if self.measure == "errors" else exp(min(value, 20.0))


def _case(facts: Facts, spec: UnharmedCheck, pair: Pair, measure: str, pairs: Sequence[RealPair]) -> _Case:
    seen = differences(facts.requests.of(pair), measure, pairs)
    margin = _margin(facts, spec, measure, seen)
    return _Case(facts, spec, pair, measure, seen, _adjusted(facts, spec, pair, measure, seen, pairs, margin), margin)


def _margin(facts: Facts, spec: UnharmedCheck, measure: str, seen: Differences) -> float:
    """Return what is allowed; nobody notices a few milliseconds, whatever they are a multiple of."""
    if measure == "errors":
        return spec.errors
    unnoticed_ms = facts.plan.target.defaults.unnoticed * 1000
    return max(log(spec.margin.limit), log(1 + unnoticed_ms / seen.usual_ms) if seen.usual_ms > 0 else 0.0)


def _adjusted(
    facts: Facts,
    spec: UnharmedCheck,
    pair: Pair,
    measure: str,
    seen: Differences,
    pairs: Sequence[RealPair],
    margin: float,
) -> Floats:
    """Take off what the reference did meanwhile, by the calibrated weight, unless the reference itself was hurt."""
    figures = facts.plan.calibration.of(*pair, measure) if facts.plan.calibration else None
    if measure == "errors" or figures is None or not figures.weight or spec.reference in (None, pair.tenant):
        return seen.known
    level = reference_level(facts, spec.reference, pairs)
    both = np.isfinite(seen.by_pair) & np.isfinite(level)
    if both.sum() < max(FEWEST_PAIRS, len(seen.known)):
        return seen.known
    if effects_of([level[both]], confidence=CONFIDENCE)[0].interval.low > 0:
        return seen.known
    adjusted = less_reference(seen.by_pair[both], level[both], figures.weight)
    taken_off = float((seen.by_pair[both] - adjusted).mean())
    return adjusted + max(0.0, taken_off - _MOST_TAKEN_OFF * margin)


def reference_level(facts: Facts, tenant: str | None, pairs: Sequence[RealPair]) -> Floats:
    """Return by how much a tenant's flows changed between the windows of each pair, by their medians."""
    flows = [pair for pair in facts.loaded if pair.tenant == tenant]
    levels = [differences(facts.requests.of(pair), "p50", pairs).by_pair for pair in flows]
    return np.mean(levels, axis=0) if levels else np.full(len(pairs), np.nan)


# -- findings ----------------------------------------------------------------------------------------------------------


def _finding(case: _Case, judged: Judged) -> Finding:
    found = _told(case, judged.effect)
    if judged.outcome is Contained.LEAKED:
        return replace(
            found, status=Status.FAIL, reason=f"It leaked: worse in the windows with the fault.{_alarms(case)}"
        )
    if judged.outcome is Contained.OPEN:
        return found.undecided(Cause.TOO_FEW_SAMPLES, _how_many_more(case, judged.effect))
    harm = _must_not_miss(case)
    bad = case.seen.bad if case.measure == "errors" else 0
    if not would_notice(bad, case.seen.rows, harm):
        needed = rows_to_notice(bad, harm)
        reason = f"{case.seen.rows} requests in the fault windows would miss {harm:.3g} of them; {needed} would not."
        return found.undecided(Cause.TOO_FEW_SAMPLES, f"{reason} Load it more, or ask for more pairs.")
    return replace(found, reason=f"It was contained.{_alarms(case)}")


def _must_not_miss(case: _Case) -> float:
    if case.measure == "errors":
        return harm_of(levels_of(case.facts.plan, case.pair.flow).errors, case.spec.errors)
    return _TAIL if case.measure == "p95" else 0.5


def _told(case: _Case, effect: Effect) -> Finding:
    mean, low, high = (case.number(value) for value in (effect.mean, effect.interval.low, effect.interval.high))
    show, unit = case.limit.show, case.limit.unit
    value = f"{show(mean)} ({show(low)} to {show(high)}, {effect.pairs} pairs)"
    if case.measure == "errors":
        value = f"{mean * 100:+.2g}% ({low * 100:+.2g}% to {high * 100:+.2g}%, {effect.pairs} pairs)"
    return replace(case.blank, value=value, measured=Measured.of(mean, unit, low, high))


def _how_many_more(case: _Case, effect: Effect) -> str:
    needed = effect.pairs_to_decide(case.margin)
    more = max(1, needed - effect.pairs)
    if not needed or needed >= MOST_PAIRS:
        reason = "With this scatter so near the margin hardly any number of pairs would decide it: load it more."
        return f"{reason}{_alarms(case)}"
    return f"About {more} more pairs would decide it at this scatter ({effect.scatter:.2g} a pair).{_alarms(case)}"


def _alarms(case: _Case) -> str:
    calibration = case.facts.plan.calibration
    if calibration is None or calibration.false_alarms is None:
        return ""
    return f" On this machine {calibration.false_alarms:.1%} of {calibration.runs} runs without a fault alarmed."


def _too_few(case: _Case, real: int, asked: int) -> Finding:
    if real < FEWEST_PAIRS:
        reason = f"{real} of {asked} pairs had the fault in one window and not in the other; {FEWEST_PAIRS} are needed."
        return case.blank.undecided(Cause.NOT_OBSERVED, reason)
    reason = f"{len(case.seen.known)} of {real} pairs had enough requests in both windows: load it more."
    return case.blank.undecided(Cause.TOO_FEW_SAMPLES, reason)


def _blank(facts: Facts, spec: UnharmedCheck, subject: str) -> Finding:
    bound = f"{Bound('<=', spec.margin.limit, 'x')}, errors +{spec.errors:.3g}"
    return Finding("", subject, Status.PASS, "–", bound, 0, facts.phase(Phase.FAULT))
