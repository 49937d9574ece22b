"""Do those who count attempts agree: the caller's spans, its counter, the callee, the proxy?"""

import numpy as np
from numpy.typing import NDArray

from harness.evidence.agreement import disagree
from harness.evidence.attempts import counted, hits, unclaimed
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window


def disagreements(facts: Facts, link: str, attempts: Calls, again: NDArray[np.bool_], window: Window) -> list[str]:
    """Return a line for each source whose count differs from that of the caller's spans, both numbers in it.

    *again* are the attempts that repeat a failed one.
    """
    lines = (
        _counter(facts, link),
        _proxy(facts, link),
        _callee(facts, link, attempts, window),
        _numbers(attempts, int(np.count_nonzero(again))),
    )
    return [line for line in lines if line]


def _counter(facts: Facts, link: str) -> str:
    count = counted(facts, link, facts.phase(Phase.FAULT))
    if count is None:
        return ""
    spans = len(facts.calls(link).begun_in(count.window))
    return f"{spans} attempts by spans, {count.total} by the metric" if disagree(spans, count.total) else ""


def _proxy(facts: Facts, link: str) -> str:
    """The proxy counts only what its fault hit: fewer hits than calls are no contradiction."""
    hit = hits(facts, link)
    spans = len(facts.calls(link).under_way_in(hit[1])) if hit else 0
    if hit is None or hit[0] <= spans or not disagree(hit[0], spans):
        return ""
    return f"{spans} attempts by spans, {hit[0]} hit by the proxy"


def _callee(facts: Facts, link: str, attempts: Calls, window: Window) -> str:
    lost = unclaimed(facts, link, window, facts.phase(Phase.BASELINE))
    served = len(attempts) + lost
    return (
        f"{len(attempts)} attempts by spans, {served} served by the callee" if disagree(served, len(attempts)) else ""
    )


def _numbers(attempts: Calls, again: int) -> str:
    """A span that makes the same call again after it failed tried again, whatever number it gives."""
    numbered = int((attempts.attempt > attempts.attempt.min()).sum()) if len(attempts) else 0
    if again <= numbered or not disagree(again, numbered):
        return ""
    return f"{numbered} retries by their numbers, {again} by the spans that made them"
