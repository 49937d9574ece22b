"""Retries help only while they are few: attempts per call over a link under the fault."""

from collections.abc import Iterable

import numpy as np

from harness.checks.bounds import block_count, blocks_of
from harness.checks.calls import Calls
from harness.checks.facts import Facts
from harness.checks.ids import hex_of
from harness.model.finding import Cause, Evidence, Finding, Status, Window
from harness.model.scenario import Phase, RetriesCheck
from harness.model.units import Bound
from harness.statistics.blocks import ShareInBlocks, bootstrap_share
from harness.statistics.shares import FEWEST


def retries(facts: Facts, spec: RetriesCheck) -> Iterable[Finding]:
    """Judge attempts per call: by the attempts' numbers, else per calling span against the baseline's."""
    window = facts.phase(Phase.FAULT)
    calls = facts.calls_in(spec.link, window)
    if _are_numbered(facts, spec.link):
        attempts, first = calls, calls.attempt == 0
        usual = 1.0
    else:
        attempts, first = calls, _first_of_parent(calls)
        usual = _calls_per_parent(facts.calls(spec.link).begun_in(facts.phase(Phase.BASELINE)))
    blocks = blocks_of(attempts.start_ns, window)
    size = block_count(window)
    counted = ShareInBlocks(np.bincount(blocks, minlength=size), np.bincount(blocks[first], minlength=size))
    return [_finding(facts, spec, counted, usual, window)]


def _finding(facts: Facts, spec: RetriesCheck, counted: ShareInBlocks, usual: float, window: Window) -> Finding:
    attempts, calls = int(counted.bad.sum()), int(counted.of.sum())
    status = _status(counted, usual, spec.amplification, facts.seed)
    amplification = counted.share / usual
    reason = (
        f"{calls} calls cannot decide it: load it more, or make the phase longer." if status is Status.UNKNOWN else ""
    )
    return Finding(
        check="",
        subject=spec.link,
        status=status,
        value=f"{amplification:.2f} attempts a call ({attempts} for {calls})",
        bound=str(spec.amplification),
        samples=calls,
        window=window,
        cause=Cause.TOO_FEW_SAMPLES if status is Status.UNKNOWN else None,
        reason=reason,
        evidence=_most_tried(facts.calls(spec.link).begun_in(window)) if status is Status.FAIL else (),
    )


def _status(counted: ShareInBlocks, usual: float, bound: Bound, seed: int) -> Status:
    if counted.of.sum() < FEWEST:
        return Status.UNKNOWN
    if bound.holds(counted.share / usual):
        return Status.PASS
    interval = bootstrap_share(counted, seed=seed)
    return Status.UNKNOWN if bound.holds(interval.low / usual) or bound.holds(interval.high / usual) else Status.FAIL


def _are_numbered(facts: Facts, link: str) -> bool:
    """A link whose callers never number attempts shows the number 0 throughout, as one without retries does."""
    return bool((facts.calls(link).attempt > 0).any() or facts.metric("resilience_retry_attempts_total", link=link))


def _first_of_parent(calls: Calls) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    first = np.zeros(len(calls), dtype=np.bool_)
    first[np.unique(calls.parent, return_index=True)[1]] = True
    return first


def _calls_per_parent(calls: Calls) -> float:
    return len(calls) / len(np.unique(calls.parent)) if len(calls) else 1.0


def _most_tried(calls: Calls) -> tuple[Evidence, ...]:
    parents, where, tries = np.unique(calls.parent, return_index=True, return_counts=True)
    most = np.argsort(-tries, kind="stable")[: min(5, len(parents))]
    return tuple(Evidence(f"{tries[n]} attempts from one span", hex_of(calls.trace[where[n]])) for n in most)
