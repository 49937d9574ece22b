"""How much worse a flow became under the fault than it was: for claims that something matters."""

from collections.abc import Iterator

from harness.checks.bounds import block_count, blocks_of, ranked
from harness.evidence.facts import Facts
from harness.evidence.requests import Requests
from harness.model.files.scenario import ImpactCheck, Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.statistics.binomial import Interval
from harness.statistics.blocks import LatenciesInBlocks, ratio_interval
from harness.statistics.shares import FEWEST


def impact(facts: Facts, spec: ImpactCheck) -> Iterator[Finding]:
    """Judge a flow's p95 under the fault against the same tenants' baseline, by an interval of the ratio."""
    pairs = [p for p in facts.loaded if p.flow == spec.flow and p.tenant in (spec.tenants or (p.tenant,))]
    rows = facts.requests.of(*pairs)
    rows = rows.only(rows.answered)
    before, under = facts.phase(Phase.BASELINE), facts.phase(Phase.FAULT)
    samples = min(len(rows.within(before)), len(rows.within(under)))
    ratio = ratio_interval(_counted(rows, before), _counted(rows, under), 0.95, seed=facts.seed)
    then_ms, now_ms = (ranked(rows.within(window).latency_ms, 0.95) for window in (before, under))
    status = _status(spec.p95, ratio if samples >= FEWEST else None)
    undecided = status is Status.UNKNOWN
    between = f" ({ratio.low:,.1f} to {ratio.high:,.1f} times)" if ratio else ""
    yield Finding(
        check="",
        subject=f"{spec.flow} p95 against its baseline",
        status=status,
        value=f"{now_ms:.0f} ms, before {then_ms:.0f} ms{between}",
        bound=f"{spec.p95} times",
        samples=samples,
        window=under,
        cause=Cause.TOO_FEW_SAMPLES if undecided else None,
        reason=f"{samples} requests cannot decide it: load it more, or make the phases longer." if undecided else "",
        flow=spec.flow,
    )


def _status(bound: Bound, ratio: Interval | None) -> Status:
    if ratio is None:
        return Status.UNKNOWN
    low, high = bound.holds(ratio.low), bound.holds(ratio.high)
    return Status.PASS if low and high else Status.UNKNOWN if low or high else Status.FAIL


def _counted(rows: Requests, window: Window) -> LatenciesInBlocks:
    found = rows.within(window)
    return LatenciesInBlocks.count(found.latency_ms, blocks_of(found.due_ns, window), block_count(window))
