"""A surplus is refused at the door: enough of it, quickly, and with word when to come back.

The answers say that they are refusals; where the target counts what its limiters refused, that must agree: a service
that is down answers 503 as well.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.checks.bounds import finding_of, measure, measure_share
from harness.checks.surplus import SOME_SURGE, contradiction, times_usual
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase, RefusalsCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status

TOO_MANY, UNAVAILABLE = 429, 503
WITH_RETRY_AFTER = Bound(">=", 0.95, "%")


def refusals(facts: Facts, spec: RefusalsCheck) -> Iterator[Finding]:
    """Judge the tenant's answers under the fault: share of 429 and 503, their Retry-After, and their p95."""
    window = facts.phase(Phase.FAULT)
    rows = facts.requests.of(*(pair for pair in facts.loaded if pair.tenant == spec.tenant)).within(window)
    is_refused = np.isin(rows.status, (TOO_MANY, UNAVAILABLE))
    refused = rows.only(is_refused)
    quick = Bound("<=", spec.within * 1000, "ms")
    judged = (
        ("refused", measure_share(rows, is_refused, spec.share, window, seed=facts.seed), spec.share),
        (
            "refused with Retry-After",
            measure_share(refused, refused.retry_after, WITH_RETRY_AFTER, window, seed=facts.seed),
            WITH_RETRY_AFTER,
        ),
        ("refused p95", measure(refused, "p95", quick, window, seed=facts.seed), quick),
    )
    findings = [
        replace(finding_of(facts, f"{spec.tenant} {what}", measured, bound, window), tenant=spec.tenant, measure=what)
        for what, measured, bound in judged
    ]
    yield from _weighed(facts, spec, findings, contradiction(facts, spec.tenant, refused, window))


def _weighed(facts: Facts, spec: RefusalsCheck, findings: list[Finding], told: str) -> Iterator[Finding]:
    times, surges = times_usual(facts, spec.tenant), _surges(facts, spec.tenant)
    if times < SOME_SURGE and (surges or findings[0].status is Status.FAIL):
        reason = f"{spec.tenant} sent {times:.1f} times its usual share: there was no surplus to refuse."
        yield from (replace(f, status=Status.NOT_EXERCISED, cause=None, reason=reason) for f in findings)
    elif told and findings[0].status is Status.PASS:
        share = replace(findings[0], value=f"{findings[0].value}; sources disagree: {told}")
        reason = "Answers that no limiter counted look refused: was the service down?"
        yield share.undecided(Cause.SOURCES_DISAGREE, reason)
        yield from findings[1:]
    else:
        yield from findings


def _surges(facts: Facts, tenant: str) -> bool:
    return any(fault.surge is not None and fault.surge.tenant == tenant for fault in facts.plan.scenario.faults)
