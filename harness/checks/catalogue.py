"""Every check there is, by name: those that scenarios ask for, and those that every run gets."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.checks.breaker import breaker
from harness.checks.bulkhead import bulkhead
from harness.checks.coupling import coupling
from harness.checks.deadline import deadline
from harness.checks.faults import fault_applied, fault_felt, rollback
from harness.checks.guardrail import guardrail
from harness.checks.impact import impact
from harness.checks.integrity import integrity
from harness.checks.isolation import isolation
from harness.checks.load import generator_kept_up, load_delivered
from harness.checks.metric import metric
from harness.checks.objective import blast_radius, objective, steady_after, steady_before
from harness.checks.recovery import recovery
from harness.checks.refusals import refusals
from harness.checks.retries import retries
from harness.checks.signals import signals
from harness.checks.trace import trace
from harness.evidence.facts import Facts
from harness.model.result.finding import Finding

ASKED: Mapping[str, Callable[[Facts, Any], Iterable[Finding]]] = {
    "objective": objective,
    "breaker": breaker,
    "bulkhead": bulkhead,
    "retries": retries,
    "trace": trace,
    "recovery": recovery,
    "deadline": deadline,
    "refusals": refusals,
    "integrity": integrity,
    "isolation": isolation,
    "impact": impact,
    "metric": metric,
    "coupling": coupling,
    "signals": signals,
}
"""Checks that scenarios ask for, by the key under which they do; each takes its own parameters."""

BUILT_IN: Mapping[str, Callable[[Facts], Iterable[Finding]]] = {
    "fault_applied": fault_applied,
    "fault_felt": fault_felt,
    "load_delivered": load_delivered,
    "generator_kept_up": generator_kept_up,
    "steady_before": steady_before,
    "blast_radius": blast_radius,
    "rollback": rollback,
    "guardrail": guardrail,
    "steady_after": steady_after,
    "isolation": isolation,
}
"""Checks of every run; isolation only where the scenario does not ask for it itself."""
