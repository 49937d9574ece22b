"""A tenant against itself: is a flow slower than in its own baseline, by more than all flows are?

Two quantiles answer it. The median moves when everything becomes slower, and is known well; the p95 moves when some
answers become slower, and is known badly where requests are few. What all bystanders share, a busy machine for example,
is taken off, but only up to half as slow again: harm to everybody is still harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.checks.bounds import block_count, blocks_of, broken, ranked
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status, Window
from harness.model.run.promises import levels_of
from harness.statistics.binomial import Interval
from harness.statistics.blocks import LatenciesInBlocks, ratio_interval
from harness.statistics.shares import FEWEST

MOST_IN_COMMON = 1.5
_ENOUGH_FOR_A_REFERENCE = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much one quantile grew, and how much of that may be: the limit and the leak level as factors."""

    name: str
    then_ms: float
    now_ms: float
    between: Interval
    limit: float
    leak: float

    @property
    def ratio(self) -> float:
        """Now against then."""
        return self.now_ms / self.then_ms

    @property
    def is_beyond(self) -> bool:
        """Clearly more than is allowed."""
        return self.between.low > self.limit

    @property
    def may_be_beyond(self) -> bool:
        """It is slower than is allowed, and slower than it was; how much slower is not clear."""
        return self.ratio > self.limit and self.between.low > 1

    def __str__(self) -> str:
        between = f"{self.between.low:,.1f} to {self.between.high:,.1f} times"
        return f"{self.name} {self.now_ms:.0f} ms, before {self.then_ms:.0f} ms ({between})"


def judge_slowdown(facts: Facts, pair: Pair, bound: Bound, window: Window) -> Finding:
    """Judge p50 and p95 of *window* against the pair's own baseline."""
    median, tail = (_growth(facts, pair, bound, window, *q) for q in (("p50", 0.5), ("p95", 0.95)))
    samples = min(len(_timed(facts, pair, w)) for w in (facts.phase(Phase.BASELINE), window))
    finding = _finding(pair, bound, window, samples)
    if median is None or tail is None:
        reason = f"{samples} requests with an answer, in the baseline or now: load it more, or make the phases longer."
        return finding.undecided(Cause.TOO_FEW_SAMPLES, reason)
    if worse := next((growth for growth in (tail, median) if growth.is_beyond), None):
        reason = f"It became clearly slower than it was{_beside_others(worse, bound)}."
        return replace(_told(finding, worse), status=Status.FAIL, reason=reason)
    if unclear := next((growth for growth in (tail, median) if growth.may_be_beyond), None):
        reason = "It became slower; whether by more than is allowed takes more requests, or longer phases."
        return _told(finding, unclear).undecided(Cause.TOO_FEW_SAMPLES, reason)
    if median.between.high > median.leak:
        reason = f"So few requests would miss a flow that is {median.leak:.1f} times slower: load it more."
        return _told(finding, median).undecided(Cause.TOO_FEW_SAMPLES, reason)
    return _told(finding, tail)


def _finding(pair: Pair, bound: Bound, window: Window, samples: int) -> Finding:
    return Finding(
        check="",
        subject=f"{pair.tenant} {pair.flow} against its baseline",
        status=Status.PASS,
        value="–",
        bound=str(bound),
        samples=samples,
        window=window,
        tenant=pair.tenant,
        flow=pair.flow,
        measure="slowdown",
        limit=bound,
    )


def _told(finding: Finding, growth: Growth) -> Finding:
    measured = Measured.of(growth.ratio, "x", growth.between.low, growth.between.high)
    return replace(finding, value=str(growth), measured=measured)


def _beside_others(growth: Growth, bound: Bound) -> str:
    common = growth.limit / bound.limit
    return f", beyond the {common:.1f} times of everybody" if common > 1.05 else ""


def _growth(facts: Facts, pair: Pair, bound: Bound, window: Window, name: str, quantile: float) -> Growth | None:
    before, after = (_timed(facts, pair, w) for w in (facts.phase(Phase.BASELINE), window))
    if min(len(before), len(after)) < FEWEST:
        return None
    then_ms, now_ms = (ranked(rows.latency_ms, quantile) for rows in (before, after))
    parts = (_blocks(before, facts.phase(Phase.BASELINE)), _blocks(after, window))
    between = ratio_interval(*parts, quantile, seed=facts.seed)
    if between is None or then_ms <= 0:
        return None
    unnoticed_ms = facts.plan.target.defaults.unnoticed * 1000
    common = _in_common(facts, pair, window)
    limit = max(bound.limit * common, 1 + unnoticed_ms / then_ms)
    leak = levels_of(facts.plan, pair.flow).slowdown * common
    return Growth(name, then_ms, now_ms, between, limit, max(leak, 1 + 2 * unnoticed_ms / then_ms, limit))


def _in_common(facts: Facts, pair: Pair, window: Window) -> float:
    """Return by how much even the least slowed of the other bystanders is slower at its median; 1 to 1.5."""
    others = [other for other in facts.bystanders if other != pair]
    medians = [_medians_ms(facts, other, (facts.phase(Phase.BASELINE), window)) for other in others]
    ratios = [now_ms / then_ms for then_ms, now_ms in filter(None, medians) if then_ms > 0]
    return min(max(min(ratios, default=1.0), 1.0), MOST_IN_COMMON)


def _medians_ms(facts: Facts, pair: Pair, windows: Sequence[Window]) -> tuple[float, float] | None:
    rows = [_timed(facts, pair, window) for window in windows]
    if min(len(part) for part in rows) < _ENOUGH_FOR_A_REFERENCE:
        return None
    then_ms, now_ms = (ranked(part.latency_ms, 0.5) for part in rows)
    return then_ms, now_ms


def _timed(facts: Facts, pair: Pair, window: Window) -> Requests:
    rows = facts.requests.of(pair).within(window)
    return rows.only(rows.answered & ~broken(rows))


def _blocks(rows: Requests, window: Window) -> LatenciesInBlocks:
    return LatenciesInBlocks.count(rows.latency_ms, blocks_of(rows.due_ns, window), block_count(window))
