"""What each tenant's flow is promised: under the fault, after it, and how much harm a run of the plan must not miss.

The one place where the rules of docs/bounds.md stand:

    bystander  errors and latency by the target's objective, errors by the target's default where it has none;
               p50 and p95 within `slowdown` of its own baseline, always
    victim     what the blast radius states, measure by measure: errors that it does not state are promised as to a
               bystander; latency that it does not state is, too, unless it may lose more than 5 % of its answers:
               then its p95 may be that of a failed answer
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.model.files.leaks import Leak
from harness.model.files.units import Bound
from harness.model.run.plan import Plan

LATENCIES = ("p50", "p95", "p99")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
MOST_ERRORS_OF_A_P95 = 0.05
QUICK_MISSES = 2
"""A quick run may miss twice as much."""

ERRORS, SLOW, SLOWDOWN = 0.05, 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Levels:
    """The harm that must not go unseen: shares of failed and of slow answers, and a factor."""

    errors: float
    slow: float
    slowdown: float

    def of(self, measure: str) -> float:
        """Return the share of bad answers that must not go unseen."""
        return self.errors if measure == "errors" else self.slow


def objective_of(plan: Plan, flow: str) -> dict[str, Bound]:
    """Return the absolute bounds of *flow* outside a fault; errors have one always."""
    stated = plan.target.objectives.get(flow)
    return {"errors": plan.target.defaults.errors} | (stated.measures() if stated else {})


def promised(plan: Plan, tenant: str, flow: str) -> dict[str, Bound]:
    """Return the absolute bounds of a tenant's flow under the fault."""
    usual = objective_of(plan, flow)
    allowed = plan.scenario.blast_radius.get(tenant, {}).get(flow)
    if allowed is None:
        return usual
    given = allowed.measures()
    bounds = {"errors": given.get("errors", usual["errors"])}
    latency = given if latency_may_suffer(plan, tenant, flow) else usual
    return bounds | {name: bound for name, bound in latency.items() if name in LATENCIES}


def latency_may_suffer(plan: Plan, tenant: str, flow: str) -> bool:
    """Say whether the blast radius lets this tenant's flow become slower: by a bound, or by the errors it allows."""
    allowed = plan.scenario.blast_radius.get(tenant, {}).get(flow)
    if allowed is None:
        return False
    states_latency = allowed.slowdown is not None or any(getattr(allowed, name) is not None for name in LATENCIES)
    return states_latency or (allowed.errors is not None and allowed.errors.limit > MOST_ERRORS_OF_A_P95)


def promised_slowdown(plan: Plan, tenant: str, flow: str) -> Bound | None:
    """Return how much slower than its baseline a tenant's flow may become; None where that is not promised."""
    allowed = plan.scenario.blast_radius.get(tenant, {}).get(flow)
    if allowed is not None and latency_may_suffer(plan, tenant, flow):
        return allowed.slowdown
    return usual_slowdown(plan, flow)


def usual_slowdown(plan: Plan, flow: str) -> Bound:
    """Return how much slower than its baseline a flow of a bystander may become."""
    stated = plan.target.objectives.get(flow)
    return (stated and stated.slowdown) or plan.target.defaults.slowdown


def levels_of(plan: Plan, flow: str) -> Levels:
    """Return the leak levels of *flow*: the scenario's before the target's, the flow's before those of all flows."""
    quick = QUICK_MISSES if plan.quick else 1
    places = list(_places(plan, flow))
    errors = next((leak.errors for leak in places if leak.errors is not None), ERRORS)
    slow = next((leak.slow for leak in places if leak.slow is not None), SLOW)
    slowdown = next((leak.slowdown.limit for leak in places if leak.slowdown is not None), SLOWDOWN)
    return Levels(min(1.0, errors * quick), min(1.0, slow * quick), slowdown)


def _places(plan: Plan, flow: str) -> Iterator[Leak]:
    for levels in (plan.scenario.leak, plan.target.leak):
        if flow in levels.flows:
            yield levels.flows[flow]
        yield levels


def allowed_share(measure: str, bound: Bound) -> float:
    """Return the share of bad answers that *bound* allows: as it says for errors, else by the quantile."""
    if measure == "errors":
        return bound.limit if bound.is_upper else 1 - bound.limit
    return round(1 - QUANTILES[measure] if bound.is_upper else QUANTILES[measure], 9)
