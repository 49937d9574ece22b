"""Was a surge delivered as it was asked for?"""

from harness.checks.surplus import SOME_SURGE
from harness.evidence.facts import Facts
from harness.model.files.fault_specs import Surge
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.plan import fault_name
from harness.recording.columns import Outcome

SURGE_SHARE = 0.8
"""What a surge must at least deliver of what it was asked for."""


def surge_observed(facts: Facts, number: int, surge: Surge) -> Finding:
    """Compare the requests that were sent with those that were asked for, in the planned window."""
    (window,) = facts.planned_windows(number)
    seconds = (window.end_ns - window.start_ns) / NS_PER_S
    asked = sum(facts.plan.scenario.load[surge.tenant].values()) * surge.times * seconds
    delivered = arrivals(facts, surge, window)
    observed = delivered >= SURGE_SHARE * asked
    some = delivered >= SOME_SURGE * asked / surge.times  # a smaller surge than asked for: what it broke is broken
    return Finding(
        check="",
        subject=f"{fault_name(number)} on tenant {surge.tenant}",
        status=Status.PASS if observed else Status.UNKNOWN,
        value=f"{delivered:,} of {asked:,.0f} requests of {surge.tenant}",
        bound=f">= {SURGE_SHARE:.0%} of the surge",
        samples=delivered,
        window=window,
        cause=None if observed else Cause.LOAD_NOT_DELIVERED if some else Cause.NOT_OBSERVED,
        reason="" if observed else "The load generator did not deliver the surge: is the machine too busy for it?",
        tenant=surge.tenant,
        measure=fault_name(number),
        measured=Measured.of(delivered / asked if asked else 0.0, "%"),
        limit=Bound(">=", SURGE_SHARE, "%"),
    )


def arrivals(facts: Facts, surge: Surge, window: Window) -> int:
    """Count the requests of a surge's tenant that were sent, one an arrival."""
    pairs = [pair for pair in facts.loaded if pair.tenant == surge.tenant]
    rows = facts.raw_requests.of(*pairs).within(window)
    return int((rows.first & ~rows.ended(Outcome.DROPPED)).sum())
