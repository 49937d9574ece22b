"""Every check there is, by name: those that scenarios ask for, and those that every run gets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.checks.answers import answers
from harness.checks.blast_radius import blast_radius, objective
from harness.checks.breaker import breaker
from harness.checks.bulkhead import bulkhead
from harness.checks.coupling import coupling
from harness.checks.deadline import deadline
from harness.checks.fault_observed import fault_observed
from harness.checks.faults import fault_applied
from harness.checks.guardrail import guardrail
from harness.checks.impact import impact
from harness.checks.integrity import integrity
from harness.checks.isolation import isolation
from harness.checks.load import generator_kept_up, load_delivered
from harness.checks.metric import metric
from harness.checks.objective import steady_after
from harness.checks.recovery import recovery
from harness.checks.refusals import refusals
from harness.checks.retries import retries
from harness.checks.rollback import rollback
from harness.checks.signals import signals
from harness.checks.standing import any_loss, any_told_loss, never, not_read_back, outweighed
from harness.checks.steady import steady_before
from harness.checks.trace import trace
from harness.checks.whole import recording_whole, services_stayed_up
from harness.evidence.account.loss import Signal, Wholeness
from harness.evidence.facts import Facts
from harness.model.result.finding import Finding

ByAbsence = Callable[[Finding, Wholeness], bool]


@dataclass(frozen=True, slots=True)
class CheckKind:
    """One kind of check: its name in scenarios and findings, what judges it, and whether one failure is final."""

    name: str
    judge: Callable[..., Iterable[Finding]]
    final: bool = False
    """One failure decides, whatever else happened to the run."""
    stands_on: frozenset[Signal] = frozenset()
    """The signals that its findings rest on, see `standing.py`; a check of these itself stands on none."""
    by_absence: ByAbsence = never
    """Whether a failure may come from what is missing."""


_REQUESTS = frozenset({Signal.REQUESTS})
_SPANS = frozenset({Signal.SPANS})
_CALLS = _SPANS | {Signal.EVENTS}
_COUNTED = _REQUESTS | _SPANS | {Signal.METRICS, Signal.LOGS}

ASKED: Mapping[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("objective", objective, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("breaker", breaker, stands_on=_REQUESTS | _CALLS, by_absence=any_loss),
        CheckKind("bulkhead", bulkhead, stands_on=_REQUESTS | _SPANS),
        CheckKind("retries", retries, stands_on=_SPANS),
        CheckKind("trace", trace, stands_on=_REQUESTS | _CALLS, by_absence=any_told_loss),
        CheckKind("recovery", recovery, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("deadline", deadline, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("refusals", refusals, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("integrity", integrity, final=True, stands_on=frozenset({Signal.LEDGER}), by_absence=not_read_back),
        CheckKind("isolation", isolation, final=True, stands_on=_REQUESTS),
        CheckKind("impact", impact, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("metric", metric, stands_on=frozenset({Signal.METRICS}), by_absence=any_told_loss),
        CheckKind("coupling", coupling, stands_on=_SPANS),
        CheckKind("signals", signals, stands_on=_COUNTED, by_absence=any_told_loss),
    )
}
"""Checks that scenarios ask for; each takes its own parameters."""


def stood_on(facts: Facts) -> frozenset[Signal]:
    """Return the signals that the checks of a run stand on."""
    asked = (ASKED[entry.kind].stands_on for entry in facts.plan.scenario.checks)
    return _REQUESTS.union(*asked)


def _recording_whole(facts: Facts) -> Iterable[Finding]:
    return recording_whole(facts, stood_on(facts))


BUILT_IN: Mapping[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("fault_applied", fault_applied),
        CheckKind("fault_observed", fault_observed),
        CheckKind("load_delivered", load_delivered),
        CheckKind("generator_kept_up", generator_kept_up),
        CheckKind("recording_whole", _recording_whole),
        CheckKind("services_stayed_up", services_stayed_up),
        CheckKind("steady_before", steady_before, stands_on=_REQUESTS),
        CheckKind("blast_radius", blast_radius, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("answers", answers, stands_on=_REQUESTS),
        CheckKind("rollback", rollback, final=True),
        CheckKind("guardrail", guardrail, final=True),
        CheckKind("steady_after", steady_after, stands_on=_REQUESTS, by_absence=outweighed),
        CheckKind("isolation", isolation, final=True, stands_on=_REQUESTS),
    )
}
"""Checks of every run; isolation only where the scenario does not ask for it itself."""

FINAL = frozenset(kind.name for kind in (*ASKED.values(), *BUILT_IN.values()) if kind.final)
"""Kinds of checks of which one failure decides, whatever else happened."""
