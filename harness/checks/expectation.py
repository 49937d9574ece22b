"""Before a run: how many requests each bound will rest on, and how many it needs to notice its leak level."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from harness.checks.under_fault import ALONE, harm_of
from harness.model.files.units import Bound
from harness.model.run.plan import Plan
from harness.model.run.promises import allowed_share, levels_of, promised
from harness.statistics.binomial import poisson_tail
from harness.statistics.power import rows_to_notice

_SURE = 1e-3
"""A plan is thin, if chance alone may leave it with too few requests more often than this."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one bound of one pair will rest on, in the fault phase or from the fault to the end."""

    tenant: str
    flow: str
    measure: str
    bound: Bound
    since: str
    requests: float
    needed: int
    arrivals: float
    needed_arrivals: int
    harm: float
    constant: bool

    @property
    def is_enough(self) -> bool:
        """Enough requests will come, chance included."""
        if self.constant or self.arrivals < self.needed_arrivals:
            return self.arrivals >= self.needed_arrivals
        return poisson_tail(self.needed_arrivals - 1, self.arrivals) < _SURE


def expected_power(plan: Plan) -> Iterator[Expected]:
    """Return each demand that the judge will make of a run of *plan*."""
    for tenant, flows in plan.scenario.load.items():
        for flow in flows:
            for measure, bound in promised(plan, tenant, flow).items():
                if allowed_share(measure, bound) < 1:
                    yield from _demands(plan, tenant, flow, measure, bound)


def _demands(plan: Plan, tenant: str, flow: str, measure: str, bound: Bound) -> Iterator[Expected]:
    level, allowed = levels_of(plan, flow).of(measure), allowed_share(measure, bound)
    fault_s, after_s = plan.phases.fault, plan.phases.recovery
    yield _expected(plan, tenant, flow, measure, bound, "fault", fault_s, harm_of(ALONE * level, allowed))
    victim = plan.scenario.blast_radius.get(tenant, {}).get(flow)
    if victim is None or measure not in victim.measures():
        since, seconds = "fault to end", fault_s + after_s
        yield _expected(plan, tenant, flow, measure, bound, since, seconds, harm_of(level, allowed))


def _expected(
    plan: Plan, tenant: str, flow: str, measure: str, bound: Bound, since: str, seconds: float, harm: float
) -> Expected:
    steps, rate = len(plan.target.flows[flow].steps), plan.scenario.load[tenant][flow]
    arrivals = rate * seconds + _surged(plan, tenant, rate)
    needed = rows_to_notice(0, harm)
    return Expected(
        tenant=tenant,
        flow=flow,
        measure=measure,
        bound=bound,
        since=since,
        requests=arrivals * steps,
        needed=needed,
        arrivals=arrivals,
        needed_arrivals=ceil(needed / steps),
        harm=harm,
        constant=plan.scenario.arrivals == "constant",
    )


def _surged(plan: Plan, tenant: str, rate: float) -> float:
    """Return how many arrivals the surges of the fault phase add (a lull takes some away)."""
    added = 0.0
    for number, fault in enumerate(plan.scenario.faults):
        if fault.surge and fault.surge.tenant == tenant:
            added += sum((end - begin) * (fault.surge.times - 1) * rate for begin, end in plan.fault_windows_s(number))
    return added


def in_words(plan: Plan) -> list[str]:
    """Return a line for each tenant's flow: its bounds, and whether the run will be able to decide them."""
    lines = []
    expected = list(expected_power(plan))
    for tenant, flow in dict.fromkeys((e.tenant, e.flow) for e in expected):
        mine = [e for e in expected if (e.tenant, e.flow) == (tenant, flow)]
        bounds = ", ".join(dict.fromkeys(f"{e.measure} {e.bound}" for e in mine))
        thin = [e for e in mine if not e.is_enough]
        lines.append(f"false if  {tenant:<10} {flow} misses one of: {bounds}; {_rests_on(thin or mine)}")
        if thin:
            lines.append(
                f"TOO FEW   {tenant:<10} {flow}: raise its load, make the phases longer, or state a leak level"
            )
    return lines


def _rests_on(demands: list[Expected]) -> str:
    hardest = min(demands, key=lambda e: e.requests / e.needed)
    what = "errors" if hardest.measure == "errors" else "slow answers"
    seen = f"{hardest.needed} show {min(1.0, hardest.harm) * 100:.3g}% of {what}"
    return f"about {hardest.requests:,.0f} requests ({hardest.since}), {seen}"
