"""Steady state before the fault: a target that was already in trouble proves nothing."""

from dataclasses import replace

from harness.checks.bounds import judge_pairs, objectives_of
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase
from harness.model.result.finding import Cause, Finding, Status


def steady_before(facts: Facts) -> list[Finding]:
    """Judge every tenant's flow by the target's objectives before the fault; if not, nothing later counts."""
    baseline, log = facts.phase(Phase.BASELINE), facts.before_faults
    found = judge_pairs(facts, facts.loaded, baseline, objectives_of(facts), log=log)
    return [_sick(finding) if finding.status is Status.FAIL else finding for finding in found]


def _sick(finding: Finding) -> Finding:
    reason = "Not steady before the fault: bring the target into order, or give it a longer warmup."
    return replace(finding, status=Status.UNKNOWN, cause=Cause.SICK_BASELINE, reason=reason)
