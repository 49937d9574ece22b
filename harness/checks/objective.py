"""Promises kept: steady state after the fault."""

from dataclasses import replace

from harness.checks.bounds import judge_pairs, objectives_of
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.shares import FEWEST


def steady_after(facts: Facts) -> list[Finding]:
    """Judge every tenant's flow by the target's objectives at the end of the recovery phase.

    That is its last third; its last two thirds for a pair with hardly any requests in it. Whoever is not well yet, when
    the run ends before the time is over that the claim gives everybody to recover, decides nothing.
    """
    recovery = facts.phase(Phase.RECOVERY)
    third_ns = (recovery.end_ns - recovery.start_ns) // 3
    windows = [Window("end of recovery", recovery.end_ns - thirds * third_ns, recovery.end_ns) for thirds in (1, 2)]
    thin = [p for p in facts.loaded if len(facts.requests.of(p).within(windows[0])) < FEWEST]
    rest = [pair for pair in facts.loaded if pair not in thin]
    bounds_of = objectives_of(facts)
    findings = [
        finding
        for pairs, window in zip((rest, thin), windows, strict=True)
        for finding in judge_pairs(facts, pairs, window, bounds_of, lenders=facts.loaded)
    ]
    within_s = _recovery_time_s(facts)
    return [_too_early(finding, within_s, recovery) for finding in findings]


def _recovery_time_s(facts: Facts) -> float:
    given = (check.recovery for check in facts.plan.scenario.checks)
    return max((spec.within for spec in given if spec is not None), default=0.0)


def _too_early(finding: Finding, within_s: float, recovery: Window) -> Finding:
    seconds = (recovery.end_ns - recovery.start_ns) / NS_PER_S
    if finding.status is not Status.FAIL or seconds >= within_s:
        return finding
    reason = (
        f"The run ended {seconds:g} s after the fault; {within_s:g} s to recover are allowed: make the phase longer."
    )
    return replace(finding, status=Status.UNKNOWN, cause=Cause.TOO_FEW_SAMPLES, reason=reason)
