"""What each tenant got from each flow before, during and after the fault, and who of them was hurt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.evidence.requests import Pair
from harness.model.files.scenario import Phase, Severity
from harness.model.result.finding import Status, Verdict
from harness.recording.columns import Outcome
from harness.report.impact import QUANTILES, exceeds, upper_limits
from harness.report.observed import Observed
from harness.report.requests import Requests


@dataclass(frozen=True, slots=True)
class Served:
    """What was answered in one phase; quantiles are None without requests, infinite if that many were never sent."""

    requests: int
    bad_share: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    outcomes: Mapping[Outcome, int]


@dataclass(frozen=True, slots=True)
class Experience:
    """One pair's run."""

    pair: Pair
    declared: bool  # the scenario said that it may be hurt
    hurt: bool  # it lost what it was promised under the fault, as a whole and beyond chance
    touched: bool  # it kept its promise as a whole, but not at every moment
    before: Served
    during: Served
    after: Served
    limits: str  # what it was promised: "errors < 1%, p95 < 600 ms"


def experiences(observed: Observed, verdict: Verdict) -> tuple[Experience, ...]:
    """Return what each pair got, victims first."""
    phases = {phase: observed.phase(phase) for phase in (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY)}
    accused = {
        (f.tenant, f.flow)
        for f in verdict.findings
        if f.check == "blast_radius" and f.status is Status.FAIL and f.severity is Severity.CRITICAL
    }
    return tuple(_experience(observed, pair, phases, accused) for pair in observed.pairs)


def _experience(
    observed: Observed, pair: Pair, phases: Mapping[Phase, Requests], accused: set[tuple[str | None, str | None]]
) -> Experience:
    code = observed.requests.pairs.index(pair)
    mine = {phase: requests.only(requests.pair == code) for phase, requests in phases.items()}
    broken = any(_broken_promises(observed, pair.flow, mine[Phase.FAULT]))
    hurt = (pair.tenant, pair.flow) in accused or broken
    touched = not hurt and _marked(observed, code)
    limits = ", ".join(f"{name} {bound}" for name, bound in upper_limits(observed.plan, pair.flow).items())
    before, during, after = (_served(mine[phase]) for phase in (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY))
    declared, promised = observed.is_victim(pair), limits or "nothing promised"
    return Experience(pair, declared, hurt, touched, before, during, after, promised)


def _served(requests: Requests) -> Served:
    p50_ms, p95_ms, p99_ms = (requests.quantile_ms(quantile) for quantile in QUANTILES.values())
    return Served(len(requests), requests.bad_share, p50_ms, p95_ms, p99_ms, requests.by_outcome())


def _broken_promises(observed: Observed, flow: str, during: Requests) -> Iterator[bool]:
    size = np.array([len(during)])
    for name, bound in upper_limits(observed.plan, flow).items():
        errors = name == "errors"
        bad = during.outcome != 0 if errors else during.latency_ms > bound.limit
        allowed = bound.limit if errors else 1 - QUANTILES[name]
        yield bool(exceeds(np.array([np.count_nonzero(bad)]), size, allowed)[0])


def _marked(observed: Observed, code: int) -> bool:
    """Say whether there is a moment of the fault phase that chance does not explain."""
    window, axis, impact = observed.recording.window(Phase.FAULT), observed.coarse, observed.impact
    if window is None or axis is None or impact is None:
        return False
    begin, end = axis.bucket(np.array([window.start_ns, window.end_ns - 1]))
    return bool(impact.marked[code, begin : end + 1].any())
