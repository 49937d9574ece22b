"""A breaker's state inferred from calls alone: they stop although there is demand, and single ones try in between.

Calls that stop are evidence only where the caller goes on: its own server spans continue, and the requests of the
flows that use the link stand for enough calls that chance does not explain their absence. Calls that hang are not
silent, so the silence after a full bulkhead or pool is none.
"""

from itertools import pairwise

import numpy as np

from harness.evidence.breaker_history import CLOSED, HALF_OPEN, OPEN, Change, History, joined
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.users import demand
from harness.model.files.scenario import Phase
from harness.model.files.target import ends_of
from harness.model.result.finding import Window

UNLIKELY = 0.001
_EXPECTED = -float(np.log(UNLIKELY))  # so many calls expected and none seen
_CALLER_GOES_ON = 0.5


def inferred(facts: Facts, link: str, fault: Window) -> History | None:
    """Return the breaker's history as the calls over *link* tell it; None where they were never silent."""
    end_ns = facts.phase(Phase.RECOVERY).end_ns
    quiet = [
        gap for gap in _gaps(facts.calls(link), Window("", fault.start_ns, end_ns)) if _is_silence(facts, link, gap)
    ]
    if not quiet or quiet[0].start_ns >= fault.end_ns:
        return None
    calls = facts.calls(link)
    changes = [Change(_last_begun_ns(calls, quiet[0]) + 1, OPEN)]
    for before, after in pairwise(quiet):
        changes += [Change(before.end_ns, HALF_OPEN), Change(_last_begun_ns(calls, after) + 1, OPEN)]
    if quiet[-1].end_ns < end_ns:
        changes.append(Change(quiet[-1].end_ns, CLOSED))
    return History(link, ends_of(link)[0], "calls", tuple(changes))


def _last_begun_ns(calls: Calls, gap: Window) -> int:
    """Return when the last call before *gap* began: the breaker opened after it, and refused the next."""
    return int(calls.start_ns[np.searchsorted(calls.start_ns, gap.start_ns) - 1])


def _gaps(calls: Calls, window: Window) -> list[Window]:
    """Return when no call was under way, after the first one that met *window*."""
    met = calls.under_way_in(window)
    busy = joined(Window("", int(a), int(b)) for a, b in zip(met.start_ns, met.end_ns, strict=True))
    edges = [*(w.start_ns for w in busy[1:]), window.end_ns][: len(busy)]
    return [
        Window("silence", was.end_ns, start_ns)
        for was, start_ns in zip(busy, edges, strict=True)
        if was.end_ns < start_ns
    ]


def _is_silence(facts: Facts, link: str, gap: Window) -> bool:
    _, expected = demand(facts, link, gap)
    return expected >= _EXPECTED and _caller_goes_on(facts, link, gap)


def _caller_goes_on(facts: Facts, link: str, gap: Window) -> bool:
    """Its server spans must go on as the requests do, or the calls are missing because all its spans are."""
    baseline = facts.phase(Phase.BASELINE)
    served = facts.servings(ends_of(link)[0])
    usual_requests, requests = demand(facts, link, baseline)[0], demand(facts, link, gap)[0]
    usual, now = len(served.begun_in(baseline)), len(served.begun_in(gap))
    return bool(usual and now >= _CALLER_GOES_ON * usual * requests / usual_requests)
