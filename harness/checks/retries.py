"""Retries help only while they are few: attempts per call over a link under the fault.

Attempts are counted at both ends: the caller's spans and counter, the callee's server spans, the proxy's hits. Where
they disagree nothing is decided. The bound holds for all calls together, for the time in which attempts failed, and
for each tenant: healthy calls must not hide a storm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.checks.attempt_sources import disagreements
from harness.checks.bounds import block_count, blocks_of
from harness.checks.breaker_parts import whose
from harness.checks.gaps import judge_gaps
from harness.evidence.attempts import (
    ATTEMPTS_METRIC,
    counted,
    hidden_repeats,
    repeats_after_failure,
    times_of_trouble,
)
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.ids import hex_of, key_of
from harness.model.files.scenario import Phase, RetriesCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Measured, Status, Window
from harness.statistics.blocks import ShareInBlocks, bootstrap_share
from harness.statistics.shares import FEWEST

_MUCH = 1.25
"""So many times the bound is too much for a part of the calls, although too few to be sure of."""


def retries(facts: Facts, spec: RetriesCheck) -> Iterable[Finding]:
    """Judge attempts per call: by the attempts' numbers, else by how many more one span makes than in the baseline."""
    window = facts.phase(Phase.FAULT)
    if not facts.spans and (alone := _by_metric(facts, spec, window)):
        yield alone
        return
    attempts = facts.calls_in(spec.link, window)
    if spec.backoff is not None:
        yield judge_gaps(spec.link, spec.backoff, attempts, whose(facts, attempts), window)
    yield _judge_number(facts, spec, attempts, window)


@dataclass(frozen=True, slots=True, eq=False)
class _Tries:
    """Attempts, which of them are the first of a call, and how many a call takes when all is well (None: one)."""

    attempts: Calls
    first: NDArray[np.bool_]
    hidden: NDArray[np.int64]  # more requests than one that reached the callee under an attempt's span
    usual: float | None = None
    of: str = ""

    @property
    def made(self) -> int:
        """Attempts, those of a library below the retry policy included."""
        return len(self.attempts) + int(self.hidden.sum())

    @property
    def amplification(self) -> float:
        """Attempts per call."""
        calls = int(self.first.sum())
        return self.made / calls / (self.usual or 1.0) if calls else float("inf")

    def only(self, chosen: NDArray[np.bool_], of: str) -> "_Tries":
        """Return the rows of a mask."""
        return _Tries(self.attempts.only(chosen), self.first[chosen], self.hidden[chosen], self.usual, of)

    def __str__(self) -> str:
        counts = f"{self.made} for {int(self.first.sum())}"
        whose = f" of {self.of}" if self.of else ""
        hidden = f", {int(self.hidden.sum())} of them seen by the callee alone" if self.hidden.any() else ""
        if self.usual is None:
            return f"{self.amplification:.2f} attempts a call{whose} ({counts}{hidden})"
        more = f"{self.amplification:.2f} times as many calls a span{whose} as in the baseline"
        return f"{more} ({counts} spans{hidden})"


def _judge_number(facts: Facts, spec: RetriesCheck, attempts: Calls, window: Window) -> Finding:
    again = repeats_after_failure(attempts)
    every = _tries(facts, spec.link, attempts, again)
    trouble = attempts.failed | again | (every[0].hidden > 0) | (attempts.attempt > _first_number(facts, spec.link))
    stretches = times_of_trouble(attempts.start_ns[trouble], window)
    judged = [(tries, _status(tries, spec.amplification, window, facts.seed)) for tries in every]
    for tries in every:
        judged += _diluted(facts, spec, tries, stretches, window)
    order = list(Status)
    worst, status = min(judged, key=lambda pair: (order.index(pair[1]), pair[0] not in every))
    finding = _finding(spec, worst, status, window)
    if status is not Status.FAIL and (told := disagreements(facts, spec.link, attempts, again, window)):
        finding = replace(finding, value=f"{finding.value}; sources disagree: {'; '.join(told)}")
        return finding.undecided(Cause.SOURCES_DISAGREE, "Attempts are counted differently at the ends of the link.")
    if (longest := _longest(attempts, again, _first_number(facts, spec.link))) > spec.most:
        reason = f"One call made {longest} attempts; {spec.most} are allowed, whatever the others make."
        return replace(finding, status=Status.FAIL, cause=None, reason=reason, evidence=_most_tried(attempts))
    if status is Status.PASS and not trouble.any():
        return replace(finding, status=Status.NOT_EXERCISED, reason="No attempt failed: there was nothing to retry.")
    return finding


def _tries(facts: Facts, link: str, attempts: Calls, again: NDArray[np.bool_]) -> list[_Tries]:
    """Return the attempts as the ways of counting see them; without numbers by span, trace and repeat."""
    calls, hidden = facts.calls(link), hidden_repeats(facts, link, attempts)
    if _are_numbered(facts, link):
        return [_Tries(attempts, attempts.attempt <= _first_number(facts, link), hidden)]
    before = calls.begun_in(facts.phase(Phase.BASELINE))
    by_span = _Tries(attempts, _first_of(_span_of(attempts)), hidden, _calls_per(_span_of(before)))
    by_trace = _Tries(attempts, _first_of(key_of(attempts.trace)), hidden, _calls_per(key_of(before.trace)))
    by_repeat = _Tries(attempts, ~again, hidden)
    return [by_span, *(tries for tries in (by_trace, by_repeat) if tries.amplification > by_span.amplification)]


def _diluted(
    facts: Facts, spec: RetriesCheck, every: _Tries, stretches: list[Window], window: Window
) -> Iterator[tuple[_Tries, Status]]:
    """Judge the time in which attempts failed, for all and for each tenant; too few calls decide against it only."""
    start_ns = every.attempts.start_ns
    inside = np.zeros(len(start_ns), dtype=np.bool_)
    for stretch in stretches:
        inside |= (start_ns >= stretch.start_ns) & (start_ns < stretch.end_ns)
    tenants = whose(facts, every.attempts)
    parts = [(inside, "the time of trouble")]
    parts += [(inside & (tenants == tenant), tenant) for tenant in sorted(set(tenants.tolist()) - {""})]
    for chosen, of in parts:
        tries = every.only(chosen, of)
        status = _status(tries, spec.amplification, window, facts.seed)
        if status is Status.FAIL or (status is Status.UNKNOWN and _is_much(tries, spec.amplification)):
            yield tries, status


def _is_much(tries: _Tries, bound: Bound) -> bool:
    """A few calls beyond the bound may be chance where all together hold it; many times it is not."""
    return bool(len(tries.attempts)) and not bound.holds(tries.amplification / _MUCH)


def _finding(spec: RetriesCheck, tries: _Tries, status: Status, window: Window) -> Finding:
    calls, undecided = int(tries.first.sum()), status is Status.UNKNOWN
    return Finding(
        check="",
        subject=spec.link,
        status=status,
        value=str(tries),
        bound=str(spec.amplification),
        samples=calls,
        window=window,
        cause=Cause.TOO_FEW_SAMPLES if undecided else None,
        reason=f"{calls} calls cannot decide it: load it more, or make the phase longer." if undecided else "",
        evidence=_most_tried(tries.attempts) if status is Status.FAIL else (),
        link=spec.link,
        measure="amplification",
        measured=Measured.of(tries.amplification, ""),
        limit=spec.amplification,
    )


def _status(tries: _Tries, bound: Bound, window: Window, seed: int) -> Status:
    if int(tries.first.sum()) < FEWEST:
        return Status.UNKNOWN
    if bound.holds(tries.amplification):
        return Status.PASS
    blocks, size, usual = blocks_of(tries.attempts.start_ns, window), block_count(window), tries.usual or 1.0
    made = np.bincount(blocks, weights=1 + tries.hidden, minlength=size).astype(np.int64)
    interval = bootstrap_share(ShareInBlocks(made, np.bincount(blocks[tries.first], minlength=size)), seed=seed)
    return Status.UNKNOWN if bound.holds(interval.low / usual) or bound.holds(interval.high / usual) else Status.FAIL


def _by_metric(facts: Facts, spec: RetriesCheck, window: Window) -> Finding | None:
    """Judge by the caller's counter alone, where no span was recorded."""
    count = counted(facts, spec.link, window)
    if count is None or not count.first:
        return None
    amplification = count.total / count.first
    held = Status.PASS if count.total > count.first else Status.NOT_EXERCISED
    status = held if spec.amplification.holds(amplification) else Status.FAIL
    return Finding(
        check="",
        subject=spec.link,
        status=Status.UNKNOWN if count.first < FEWEST else status,
        value=f"{amplification:.2f} attempts a call ({count.total} for {count.first}, by metrics alone)",
        bound=str(spec.amplification),
        samples=count.first,
        window=window,
        cause=Cause.TOO_FEW_SAMPLES if count.first < FEWEST else None,
        link=spec.link,
        measure="amplification",
        measured=Measured.of(amplification, ""),
        limit=spec.amplification,
    )


def _are_numbered(facts: Facts, link: str) -> bool:
    """A link whose callers never number attempts shows the number 0 throughout, as one without retries does."""
    return bool((facts.calls(link).attempt > 0).any() or facts.metric(ATTEMPTS_METRIC, link=link))


def _first_number(facts: Facts, link: str) -> int:
    """Some count attempts from 0, some from 1."""
    calls = facts.calls(link)
    return min(1, int(calls.attempt.min())) if len(calls) else 0


def _longest(attempts: Calls, again: NDArray[np.bool_], first_number: int) -> int:
    """Return the most attempts that one call made: by its numbers, and by its repeats after a failure."""
    repeats = np.unique(_span_of(attempts)[again], return_counts=True)[1]
    numbered = int(attempts.attempt.max()) - first_number if len(attempts) else 0
    return 1 + max(numbered, int(repeats.max()) if len(repeats) else 0)


def _span_of(calls: Calls) -> NDArray[np.uint64]:
    spans: NDArray[np.uint64] = key_of(calls.trace) ^ calls.parent
    return spans


def _first_of(groups: NDArray[np.uint64]) -> NDArray[np.bool_]:
    first = np.zeros(len(groups), dtype=np.bool_)
    first[np.unique(groups, return_index=True)[1]] = True
    return first


def _calls_per(groups: NDArray[np.uint64]) -> float:
    return len(groups) / len(np.unique(groups)) if len(groups) else 1.0


def _most_tried(calls: Calls) -> tuple[Evidence, ...]:
    _, where, tries = np.unique(_span_of(calls), return_index=True, return_counts=True)
    most = np.argsort(-tries, kind="stable")[:5]
    return tuple(Evidence(f"{tries[n]} attempts from one span", hex_of(calls.trace[where[n]])) for n in most)
