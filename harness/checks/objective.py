"""Promises kept: a flow's bounds in one phase, the blast radius, and steady state after the fault."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from harness.checks.bounds import block_count, blocks_of, judge_pairs, objectives_of, ranked
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import ObjectiveCheck, Phase, Severity
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.binomial import Interval
from harness.statistics.blocks import LatenciesInBlocks, ratio_interval
from harness.statistics.shares import FEWEST

CLEARLY_SLOWER = 1.5
CLEARLY_SLOWER_MS = 20.0


def objective(facts: Facts, spec: ObjectiveCheck) -> Iterable[Finding]:
    """Judge one flow, tenant by tenant, by the bounds of the check."""
    pairs = [
        pair for pair in facts.loaded if pair.flow == spec.flow and pair.tenant in (spec.tenants or (pair.tenant,))
    ]
    return judge_pairs(facts, pairs, facts.phase(spec.phase), lambda _: spec.measures())


def blast_radius(facts: Facts) -> Iterator[Finding]:
    """Judge victims by what the scenario allows them, all others by the target's objectives, under the fault.

    A bystander that became clearly slower than it was is a warning even within its objective.
    """
    window, allowed = facts.phase(Phase.FAULT), facts.plan.scenario.blast_radius

    def of_victims(pair: Pair) -> Mapping[str, Bound]:
        return allowed[pair.tenant][pair.flow].measures()

    yield from judge_pairs(facts, facts.victims, window, of_victims)
    yield from judge_pairs(facts, facts.bystanders, window, objectives_of(facts))
    for pair in facts.bystanders:
        yield from _slower(facts, pair, window)


def _slower(facts: Facts, pair: Pair, window: Window) -> Iterator[Finding]:
    rows, before = facts.requests.of(pair), facts.phase(Phase.BASELINE)
    then_ms, now_ms = (_p95_ms(rows, w) for w in (before, window))
    if not (now_ms > CLEARLY_SLOWER * then_ms and now_ms - then_ms > CLEARLY_SLOWER_MS):
        return
    ratio = ratio_interval(_latencies(rows, before), _latencies(rows, window), 0.95, seed=facts.seed)
    if ratio and ratio.low > CLEARLY_SLOWER:
        yield _slower_finding(pair, window, (then_ms, now_ms), ratio, len(rows.within(window)))


def _slower_finding(pair: Pair, window: Window, p95_ms: tuple[float, float], ratio: Interval, samples: int) -> Finding:
    then_ms, now_ms = p95_ms
    return Finding(
        check="",
        subject=f"{pair.tenant} {pair.flow} p95 against its baseline",
        status=Status.FAIL,
        value=f"{now_ms:.0f} ms, before {then_ms:.0f} ms ({ratio.low:,.1f} to {ratio.high:,.1f} times)",
        bound=f"<= {CLEARLY_SLOWER:g} times",
        samples=samples,
        window=window,
        severity=Severity.WARNING,
        reason="A bystander became clearly slower under the fault, whatever its objective says.",
        tenant=pair.tenant,
        flow=pair.flow,
    )


def _latencies(rows: Requests, window: Window) -> LatenciesInBlocks:
    found = rows.only(rows.answered).within(window)
    if len(found) < FEWEST:
        found = found.only(slice(0))
    return LatenciesInBlocks.count(found.latency_ms, blocks_of(found.due_ns, window), block_count(window))


def _p95_ms(rows: Requests, window: Window) -> float:
    return ranked(rows.only(rows.answered).within(window).latency_ms, 0.95)


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
