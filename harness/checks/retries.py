"""Retries help only while they are few: attempts per call over a link under the fault."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.checks.bounds import block_count, blocks_of
from harness.checks.gaps import judge_gaps
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.ids import hex_of
from harness.model.files.scenario import Phase, RetriesCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Status, Window
from harness.statistics.blocks import ShareInBlocks, bootstrap_share
from harness.statistics.shares import FEWEST


def retries(facts: Facts, spec: RetriesCheck) -> Iterable[Finding]:
    """Judge attempts per call: by the attempts' numbers, else by how many more one span makes than in the baseline."""
    window = facts.phase(Phase.FAULT)
    attempts = facts.calls_in(spec.link, window)
    if spec.backoff is not None:
        yield judge_gaps(spec.link, spec.backoff, attempts, window)
    yield _judge_number(facts, spec, attempts, window)


def _judge_number(facts: Facts, spec: RetriesCheck, attempts: Calls, window: Window) -> Finding:
    if _are_numbered(facts, spec.link):
        return _finding(facts, spec, _Tries(attempts, attempts.attempt == 0), window)
    usual = _calls_per_parent(facts.calls(spec.link).begun_in(facts.phase(Phase.BASELINE)))
    return _finding(facts, spec, _Tries(attempts, _first_of_parent(attempts), usual), window)


@dataclass(frozen=True, slots=True)
class _Tries:
    """Attempts, which of them are the first of a call, and how many a call takes when all is well (None: one)."""

    attempts: Calls
    first: NDArray[np.bool_]
    usual: float | None = None

    @property
    def amplification(self) -> float:
        """Attempts per call."""
        calls = int(self.first.sum())
        return len(self.attempts) / calls / (self.usual or 1.0) if calls else float("inf")

    def __str__(self) -> str:
        counted = f"{len(self.attempts)} for {int(self.first.sum())}"
        if self.usual is None:
            return f"{self.amplification:.2f} attempts a call ({counted})"
        return f"{self.amplification:.2f} times as many calls a span as in the baseline ({counted} spans)"


def _finding(facts: Facts, spec: RetriesCheck, tries: _Tries, window: Window) -> Finding:
    calls, status = int(tries.first.sum()), _status(tries, spec.amplification, window, facts.seed)
    undecided = status is Status.UNKNOWN
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
    )


def _status(tries: _Tries, bound: Bound, window: Window, seed: int) -> Status:
    if int(tries.first.sum()) < FEWEST:
        return Status.UNKNOWN
    if bound.holds(tries.amplification):
        return Status.PASS
    blocks, size, usual = blocks_of(tries.attempts.start_ns, window), block_count(window), tries.usual or 1.0
    counted = ShareInBlocks(np.bincount(blocks, minlength=size), np.bincount(blocks[tries.first], minlength=size))
    interval = bootstrap_share(counted, seed=seed)
    return Status.UNKNOWN if bound.holds(interval.low / usual) or bound.holds(interval.high / usual) else Status.FAIL


def _are_numbered(facts: Facts, link: str) -> bool:
    """A link whose callers never number attempts shows the number 0 throughout, as one without retries does."""
    return bool((facts.calls(link).attempt > 0).any() or facts.metric("resilience_retry_attempts_total", link=link))


def _first_of_parent(calls: Calls) -> NDArray[np.bool_]:
    first = np.zeros(len(calls), dtype=np.bool_)
    first[np.unique(calls.parent, return_index=True)[1]] = True
    return first


def _calls_per_parent(calls: Calls) -> float:
    return len(calls) / len(np.unique(calls.parent)) if len(calls) else 1.0


def _most_tried(calls: Calls) -> tuple[Evidence, ...]:
    parents, where, tries = np.unique(calls.parent, return_index=True, return_counts=True)
    most = np.argsort(-tries, kind="stable")[: min(5, len(parents))]
    return tuple(Evidence(f"{tries[n]} attempts from one span", hex_of(calls.trace[where[n]])) for n in most)
