"""Every check there is, by name: those that scenarios ask for, and those that every run gets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.checks.answers import answers
from harness.checks.breaker import breaker
from harness.checks.bulkhead import bulkhead
from harness.checks.coupling import coupling
from harness.checks.deadline import deadline
from harness.checks.faults import fault_applied, fault_observed, rollback
from harness.checks.guardrail import guardrail
from harness.checks.impact import impact
from harness.checks.integrity import integrity
from harness.checks.isolation import isolation
from harness.checks.load import generator_kept_up, load_delivered
from harness.checks.metric import metric
from harness.checks.objective import blast_radius, objective, steady_after
from harness.checks.recovery import recovery
from harness.checks.refusals import refusals
from harness.checks.retries import retries
from harness.checks.signals import signals
from harness.checks.steady import steady_before
from harness.checks.trace import trace
from harness.model.result.finding import Finding


@dataclass(frozen=True, slots=True)
class CheckKind:
    """One kind of check: its name in scenarios and findings, what judges it, and whether one failure is final."""

    name: str
    judge: Callable[..., Iterable[Finding]]
    final: bool = False
    """One failure decides, whatever else happened to the run."""


ASKED: Mapping[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("objective", objective),
        CheckKind("breaker", breaker),
        CheckKind("bulkhead", bulkhead),
        CheckKind("retries", retries),
        CheckKind("trace", trace),
        CheckKind("recovery", recovery),
        CheckKind("deadline", deadline),
        CheckKind("refusals", refusals),
        CheckKind("integrity", integrity, final=True),
        CheckKind("isolation", isolation, final=True),
        CheckKind("impact", impact),
        CheckKind("metric", metric),
        CheckKind("coupling", coupling),
        CheckKind("signals", signals),
    )
}
"""Checks that scenarios ask for; each takes its own parameters."""

BUILT_IN: Mapping[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("fault_applied", fault_applied),
        CheckKind("fault_observed", fault_observed),
        CheckKind("load_delivered", load_delivered),
        CheckKind("generator_kept_up", generator_kept_up),
        CheckKind("steady_before", steady_before),
        CheckKind("blast_radius", blast_radius),
        CheckKind("answers", answers),
        CheckKind("rollback", rollback, final=True),
        CheckKind("guardrail", guardrail, final=True),
        CheckKind("steady_after", steady_after),
        CheckKind("isolation", isolation, final=True),
    )
}
"""Checks of every run; isolation only where the scenario does not ask for it itself."""

FINAL = frozenset(kind.name for kind in (*ASKED.values(), *BUILT_IN.values()) if kind.final)
"""Kinds of checks of which one failure decides, whatever else happened."""
