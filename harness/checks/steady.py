"""Steady state before the fault: a target that was already in trouble proves nothing.

Three looks at the time before the first fault was asked for: every pair's objectives over the baseline; requests that
were still under way then, which are at least as slow as they were old; and the last seconds by themselves, because an
outage that begins just before the fault is a small part of the baseline and would be blamed on the fault.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.checks.bounds import BoundsOf, evidence, judge_pairs, objectives_of, ranked
from harness.evidence.facts import Facts
from harness.evidence.requests import OUTCOMES, Bools, Pair, RequestLog, Requests
from harness.model.files.scenario import Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Outcome
from harness.statistics.binomial import at_least
from harness.statistics.shares import FEWEST

TAILS_S = (1, 2, 3)
"""The last seconds before the fault that are looked at by themselves."""

CHANCE = 1e-6
"""How unlikely so many bad requests must be there by chance: a dozen looks a pair, and hundreds of runs."""

USUAL_ERRORS, USUAL_SLOW = 0.01, 0.05
_SLOWER, _SLOWER_MS = 2.0, 50.0
_SICK = "Not steady before the fault: fix the target first, or give it a longer warmup."


def steady_before(facts: Facts) -> list[Finding]:
    """Judge every tenant's flow by the target's objectives before the fault; if not, nothing later counts."""
    baseline, log = facts.phase(Phase.BASELINE), _before(facts)
    found = judge_pairs(facts, facts.loaded, baseline, objectives_of(facts), log=log)
    judged = [_sick(finding) if finding.status is Status.FAIL else finding for finding in found]
    return [*judged, *_bursts(facts, log)]


def _sick(finding: Finding) -> Finding:
    return replace(finding, status=Status.UNKNOWN, cause=Cause.SICK_BASELINE, reason=_SICK)


# -- requests under way ------------------------------------------------------------------------------------------------


def _before(facts: Facts) -> RequestLog:
    """Return what had ended when the first fault was asked for, and what was already too slow then."""
    begun_ns, bounds_of = facts.first_asked_ns, objectives_of(facts)
    seen = {}
    for pair, rows in facts.requests.by_pair.items():
        usual_ms = _far_too_slow_ms(rows.only(rows.end_ns <= begun_ns), {})
        seen[pair] = _as_seen_at(rows, begun_ns, min(usual_ms, _slowest_ms(bounds_of(pair))))
    return RequestLog(seen)


def _as_seen_at(rows: Requests, moment_ns: int, limit_ms: float) -> Requests:
    """A request that is under way counts from the age on at which it is too slow; before that it says nothing.

    How it will end is not known: it is not counted as an error.
    """
    never_sent = rows.ended(Outcome.DROPPED)
    ended = ((rows.end_ns <= moment_ns) | never_sent) & (rows.due_ns < moment_ns)
    old = ~ended & (moment_ns - rows.due_ns > limit_ms * NS_PER_MS)
    under_way = old[ended | old]
    seen = rows.only(ended | old)
    ok = OUTCOMES.index(Outcome.OK)
    return replace(
        seen,
        end_ns=np.where(under_way, moment_ns, seen.end_ns),
        outcome=np.where(under_way, ok, seen.outcome).astype(np.int8),
    )


def _slowest_ms(bounds: Mapping[str, Bound]) -> float:
    """Return the age from which a request is outside one of the bounds on latency; infinite without any."""
    return min((bound.limit for bound in bounds.values() if bound.unit == "ms" and bound.is_upper), default=np.inf)


# -- the last seconds --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Burst:
    """So many bad requests in the last seconds that chance does not make them."""

    what: str
    bad: Requests
    requests: int
    window: Window


def _bursts(facts: Facts, log: RequestLog) -> Iterator[Finding]:
    """Yield a finding for each pair whose last seconds were sick, and for each flow that was over all tenants."""
    bounds_of, found = objectives_of(facts), set()
    for pair in facts.loaded:
        if burst := _burst(facts, log, [pair], bounds_of):
            found.add(pair.flow)
            yield _finding(facts, f"{pair.tenant} {pair.flow}", burst, pair)
    for flow in dict.fromkeys(pair.flow for pair in facts.loaded):
        pairs = [pair for pair in facts.loaded if pair.flow == flow]
        if flow not in found and len(pairs) > 1 and (burst := _burst(facts, log, pairs, bounds_of)):
            yield _finding(facts, f"all tenants {flow}", burst, None)


def _burst(facts: Facts, log: RequestLog, pairs: list[Pair], bounds_of: BoundsOf) -> _Burst | None:
    end_ns = facts.first_asked_ns
    for seconds in TAILS_S:
        tail = Window(f"the last {seconds} s before the fault", end_ns - seconds * NS_PER_S, end_ns)
        begin = Window("before", facts.phase(Phase.BASELINE).start_ns, tail.start_ns)
        parts = [_looked_at(log.of(pair), begin, tail, bounds_of(pair)) for pair in pairs]
        rows = RequestLog({pair: part.rows for pair, part in zip(pairs, parts, strict=True)}).of(*pairs)
        for what, allowed, bad in (
            ("not served", USUAL_ERRORS, sum(int(part.errors.sum()) for part in parts)),
            ("far too slow", USUAL_SLOW, sum(int(part.slow.sum()) for part in parts)),
        ):
            usual = max(allowed, max((part.usual[what] for part in parts), default=0.0))
            if at_least(bad, len(rows), usual) < CHANCE:
                worst = [part.rows.only(part.errors if what == "not served" else part.slow) for part in parts]
                return _Burst(what, RequestLog(dict(zip(pairs, worst, strict=True))).of(*pairs), len(rows), tail)
    return None


@dataclass(frozen=True, slots=True)
class _Tail:
    """The last requests of one pair, which of them are bad, and what was usual before."""

    rows: Requests
    errors: Bools
    slow: Bools
    usual: Mapping[str, float]


def _looked_at(rows: Requests, begin: Window, tail: Window, bounds: Mapping[str, Bound]) -> _Tail:
    before, last = rows.within(begin), rows.within(tail)
    limit_ms = _far_too_slow_ms(before, bounds)
    usual = {"not served": _share(_errors(before)), "far too slow": _share(_slow(before, limit_ms))}
    return _Tail(last, _errors(last), _slow(last, limit_ms), usual)


def _far_too_slow_ms(before: Requests, bounds: Mapping[str, Bound]) -> float:
    """Twice as slow as the slowest twentieth was before, and outside a bound where there is one."""
    answered = before.only(before.answered)
    if len(answered) < FEWEST:
        return _slowest_ms(bounds)
    usual_ms = ranked(answered.latency_ms, 0.95)
    return max(_SLOWER * usual_ms, usual_ms + _SLOWER_MS)


def _errors(rows: Requests) -> Bools:
    return ~rows.ended(Outcome.OK)


def _slow(rows: Requests, limit_ms: float) -> Bools:
    slow: Bools = rows.answered & (rows.latency_ms > limit_ms)
    return slow


def _share(bad: Bools) -> float:
    return float(bad.mean()) if len(bad) else 0.0


def _finding(facts: Facts, subject: str, burst: _Burst, pair: Pair | None) -> Finding:
    tenant, flow = pair or (None, None)
    return Finding(
        check="",
        subject=f"{subject} just before the fault",
        status=Status.UNKNOWN,
        value=f"{len(burst.bad)} of {burst.requests} {burst.what}",
        bound="as in the rest of the baseline",
        samples=burst.requests,
        window=burst.window,
        cause=Cause.SICK_BASELINE,
        reason=f"Trouble began before the fault was asked for. {_SICK}",
        evidence=evidence(facts, burst.bad),
        tenant=tenant,
        flow=flow,
        measure=f"just before {subject}" if pair is None else "just before",
    )
