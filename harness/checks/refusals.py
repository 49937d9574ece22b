"""A surplus is refused at the door: enough of it, quickly, and with word when to come back."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.checks.bounds import finding_of, measure, measure_share
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase, RefusalsCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Finding

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
    for what, measured, bound in judged:
        yield replace(finding_of(facts, f"{spec.tenant} {what}", measured, bound, window), tenant=spec.tenant)
