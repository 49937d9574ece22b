"""One bound against some requests: errors, p50, p95 or p99. What many checks have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isinf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence.facts import Facts
from harness.evidence.ids import hex_of
from harness.evidence.requests import OUTCOMES, Bools, Floats, Pair, RequestLog, Requests
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Status, Window
from harness.model.result.finding import Measured as Value
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.promises import QUANTILES, allowed_share, objective_of
from harness.recording.columns import Outcome
from harness.statistics.binomial import share_interval
from harness.statistics.blocks import ShareInBlocks
from harness.statistics.shares import FEWEST, Answer, Decision, decide, smallest_sample

FEWEST_FOR_A_SHARE = 20
STATUS = {Answer.WITHIN: Status.PASS, Answer.BEYOND: Status.FAIL, Answer.OPEN: Status.UNKNOWN}
_MOST_EVIDENCE = 5
_EARLY_NS = 50 * NS_PER_MS  # no timer fires that early
_FEWEST_BLOCKS = 12
_COMPARE: Mapping[str, Callable[..., Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
BoundsOf = Callable[[Pair], Mapping[str, Bound]]


@dataclass(frozen=True, slots=True)
class Measured:
    """How some requests stand to one bound."""

    value: str
    samples: int
    bad: int
    decision: Decision
    worst: Requests  # those outside the bound, the worst first
    name: str = ""  # "errors", "p95"
    number: Value | None = None

    @property
    def status(self) -> Status:
        """The decision as a status."""
        return STATUS[self.decision.answer]


def measure(requests: Requests, name: str, bound: Bound, window: Window, *, seed: int) -> Measured:
    """Judge *requests* of *window* by a share ("errors") or a quantile of the latency ("p95")."""
    rows, bad = counted(requests, name, bound)
    if name == "errors":
        return replace(measure_share(rows, bad, bound, window, seed=seed), name=name)
    latency_ms, quantile = rows.latency_ms, QUANTILES[name]
    value_ms = ranked(latency_ms, quantile)
    allowed = allowed_share(name, bound)
    minimum = smallest_sample(1 - quantile)
    inside = len(latency_ms) > 0 and bound.holds(value_ms)
    decision = decide(_in_blocks(rows, bad, window), allowed, inside=inside, minimum=minimum, seed=seed)
    number = Value.of(value_ms, "ms", *_quantile_interval_ms(latency_ms, quantile))
    shown, worst = show(bound, value_ms), _worst(rows, bad, latency_ms)
    return Measured(shown, len(latency_ms), int(bad.sum()), decision, worst, name, number)


def counted(requests: Requests, name: str, bound: Bound) -> tuple[Requests, Bools]:
    """Return the requests that a measure counts, and which of them are bad: not ok, or outside the bound."""
    if name == "errors":
        return requests, ~requests.ended(Outcome.OK)
    rows = requests.only(requests.answered & ~broken(requests))
    return rows, ~_COMPARE[bound.op](rows.latency_ms, bound.limit)


def broken(requests: Requests) -> Bools:
    """Say which rows contradict themselves: ended before they were due or sent, or sent before they were due."""
    early_ns = requests.due_ns - requests.start_ns
    contradicts = (requests.end_ns < requests.due_ns) | (requests.end_ns < requests.start_ns) | (early_ns > _EARLY_NS)
    mask: Bools = contradicts & ~requests.ended(Outcome.DROPPED)
    return mask


def measure_share(requests: Requests, hit: Bools, bound: Bound, window: Window, *, seed: int) -> Measured:
    """Judge the share of *requests* that are *hit*; a lower bound asks that enough of them are."""
    rows = len(requests)
    share = float(hit.mean()) if rows else float("nan")
    bad, allowed = (hit, bound.limit) if bound.is_upper else (~hit, 1 - bound.limit)
    decision = decide(
        _in_blocks(requests, bad, window), allowed, inside=bound.holds(share), minimum=FEWEST_FOR_A_SHARE, seed=seed
    )
    between = share_interval(int(hit.sum()), rows)
    number = Value.of(share, bound.unit, between.low, between.high)
    worst = _worst(requests, bad, requests.latency_ms)
    return Measured(show(bound, share), rows, int(bad.sum()), decision, worst, number=number)


def _quantile_interval_ms(latency_ms: Floats, quantile: float) -> tuple[float | None, float | None]:
    """Return the observed values between which the quantile lies at 95 %, by the ranks that the binomial allows."""
    rows = len(latency_ms)
    if not rows:
        return None, None
    half = 1.96 * (rows * quantile * (1 - quantile)) ** 0.5
    low, high = (min(max(rows * quantile + side * half, 0.5), rows) / rows for side in (-1, 1))
    return ranked(latency_ms, low), ranked(latency_ms, high)


def ranked(values: Floats, quantile: float) -> float:
    """Return the value of the nearest rank: one that was observed; NaN without values."""
    if not len(values):
        return float("nan")
    rank = int(np.ceil(quantile * len(values) - 1e-9)) - 1
    return float(np.partition(values, rank)[rank])


def show(bound: Bound, value: float) -> str:
    """Write a value as its bound is written; what has no value is a dash."""
    if np.isnan(value):
        return "–"
    return "never" if isinf(value) else bound.show(value)


def judge_pairs(
    facts: Facts,
    pairs: Iterable[Pair],
    window: Window,
    bounds_of: BoundsOf,
    *,
    lenders: Sequence[Pair] = (),
    log: RequestLog | None = None,
) -> list[Finding]:
    """Judge each pair by its own bounds in *window*, from *log* (all requests without it): one finding each.

    A pair with fewer requests than any decision needs borrows those of the others (or of *lenders*) in its flow, and
    passes with them only if none of its own is bad.
    """
    judged, requests = tuple(pairs), log or facts.requests
    group = lenders or judged
    return [
        _judge_bound(facts, requests, pair, name, bound, window, [p for p in group if bounds_of(p).get(name) == bound])
        for pair in judged
        for name, bound in bounds_of(pair).items()
    ]


def _judge_bound(
    facts: Facts, requests: RequestLog, pair: Pair, name: str, bound: Bound, window: Window, lenders: Sequence[Pair]
) -> Finding:
    measured = measure(requests.of(pair).within(window), name, bound, window, seed=facts.seed)
    note = ""
    if 0 < measured.samples < FEWEST and not measured.bad:
        together = [other for other in lenders if other.flow == pair.flow]
        lent = measure(requests.of(*together).within(window), name, bound, window, seed=facts.seed)
        if lent.status is Status.PASS:
            note = f"Only {measured.samples} requests of its own, all good: {len(together)} tenants decide together."
            measured = lent
    found = finding_of(facts, f"{pair.tenant} {pair.flow} {name}", measured, bound, window)
    return replace(found, tenant=pair.tenant, flow=pair.flow, reason=note or found.reason)


def finding_of(facts: Facts, subject: str, measured: Measured, bound: Bound, window: Window) -> Finding:
    """Write a measurement down as a finding; the judge fills in which check it is."""
    return Finding(
        check="",
        subject=subject,
        status=measured.status,
        value=measured.value,
        bound=str(bound),
        samples=measured.samples,
        window=window,
        cause=Cause.TOO_FEW_SAMPLES if measured.status is Status.UNKNOWN else None,
        reason=_reason(measured),
        evidence=evidence(facts, measured.worst) if measured.status is not Status.PASS else (),
        measure=measured.name,
        measured=measured.number,
        limit=bound,
    )


def _reason(measured: Measured) -> str:
    if measured.status is not Status.UNKNOWN:
        return ""
    if not measured.samples:
        return "There were no requests to judge."
    more = f"; about {measured.decision.would_do:,} would" if measured.decision.would_do else ""
    return f"{measured.samples:,} requests cannot decide it{more}: load it more, or make the phase longer."


def evidence(facts: Facts, worst: Requests) -> tuple[Evidence, ...]:
    """Return a line for each of the first few of *worst*."""
    return tuple(_line(facts, worst, row) for row in range(min(len(worst), _MOST_EVIDENCE)))


def _line(facts: Facts, rows: Requests, row: int) -> Evidence:
    outcome, latency_ms = OUTCOMES[rows.outcome[row]], float(rows.latency_ms[row])
    when = f"at {facts.offset_s(int(rows.due_ns[row])):.1f} s"
    if outcome is Outcome.DROPPED:
        return Evidence(f"was due {when} and could not be sent")
    answer = f"status {rows.status[row]}" if rows.status[row] else "no answer"
    return Evidence(f"{answer} after {latency_ms:.0f} ms, {when}", hex_of(rows.trace[row]))


def _worst(requests: Requests, bad: Bools, latency_ms: Floats) -> Requests:
    rows = np.flatnonzero(bad)
    if len(rows) > _MOST_EVIDENCE:
        rows = rows[np.argpartition(-latency_ms[rows], _MOST_EVIDENCE)[:_MOST_EVIDENCE]]
    return requests.only(rows[np.argsort(-latency_ms[rows], kind="stable")])


def _in_blocks(requests: Requests, bad: Bools, window: Window) -> ShareInBlocks:
    return ShareInBlocks.count(bad, blocks_of(requests.due_ns, window), block_count(window))


def blocks_of(times_ns: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """Return the block of *window*, from 0, in which each moment lies."""
    blocks: NDArray[np.int64] = (times_ns - window.start_ns) // _block_ns(window)
    return blocks


def block_count(window: Window) -> int:
    """Return how many blocks *window* has, a begun one included."""
    return max(1, -(-(window.end_ns - window.start_ns) // _block_ns(window)))


def _block_ns(window: Window) -> int:
    """A second; in short windows less, so that there are enough blocks to draw from."""
    return min(NS_PER_S, max(1, (window.end_ns - window.start_ns) // _FEWEST_BLOCKS))


def objectives_of(facts: Facts) -> BoundsOf:
    """Return what the target promises each pair outside the fault; errors always have a bound."""
    return lambda pair: objective_of(facts.plan, pair.flow)


def worst_of(findings: Sequence[Finding]) -> Finding:
    """Return the gravest of some findings."""
    return min(findings, key=lambda finding: list(Status).index(finding.status))
