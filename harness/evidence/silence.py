"""A breaker's state inferred from calls alone: they stop although there is demand, and single ones try in between.

Calls that stop are evidence only where the caller goes on: its own server spans continue, and the requests of the
flows that use the link stand for enough calls that chance does not explain their absence. Calls that hang are not
silent, so the silence after a full bulkhead or pool is none.
"""

from itertools import pairwise

import numpy as np

from harness.evidence.breaker_history import CLOSED, HALF_OPEN, OPEN, Change, History
from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.evidence.users import demand, users_of
from harness.model.files.scenario import Phase
from harness.model.files.target import ends_of
from harness.model.result.finding import Window

UNLIKELY = 0.001
_EXPECTED = -float(np.log(UNLIKELY))  # so many calls expected and none seen
_LIKELY = 3.0  # beside a gap that chance does not explain
_PROBES = 2
_CALLER_GOES_ON = 0.5


def inferred(facts: Facts, link: str, fault: Window) -> History | None:
    """Return the breaker's history as the calls over *link* tell it; None where they were never silent."""
    end_ns, calls = facts.phase(Phase.RECOVERY).end_ns, facts.calls(link)
    quiet = _silences(facts, link, Window("", fault.start_ns, end_ns))
    if not quiet or quiet[0].start_ns >= fault.end_ns:
        return None
    changes = [Change(_last_begun_ns(calls, quiet[0]) + 1, OPEN)]
    for before, after in pairwise(quiet):
        tried = HALF_OPEN if _between(calls, before, after) <= _PROBES else CLOSED
        changes += [Change(before.end_ns, tried), Change(_last_begun_ns(calls, after) + 1, OPEN)]
    if quiet[-1].end_ns < end_ns:
        changes.append(Change(quiet[-1].end_ns, CLOSED))
    return History(link, ends_of(link)[0], "calls", tuple(changes))


def _silences(facts: Facts, link: str, window: Window) -> list[Window]:
    """Return the gaps that chance does not explain, and likely ones that only a probe parts from them."""
    calls = facts.calls(link)
    baseline = facts.phase(Phase.BASELINE)
    usual_ns = (baseline.end_ns - baseline.start_ns) / max(1, len(calls.begun_in(baseline)))
    gaps = [(gap, demand(facts, link, gap)[1]) for gap in _gaps(calls, window, usual_ns)]
    gaps = [(gap, expected) for gap, expected in gaps if expected >= _LIKELY and _caller_goes_on(facts, link, gap)]
    sure = [expected >= _EXPECTED for _, expected in gaps]
    for order in (range(1, len(gaps)), range(len(gaps) - 2, -1, -1)):
        for now in order:
            near = now - 1 if order.step > 0 else now + 1
            first, second = sorted((now, near))
            sure[now] |= sure[near] and _between(calls, gaps[first][0], gaps[second][0]) <= _PROBES
    return [gap for (gap, _), chosen in zip(gaps, sure, strict=True) if chosen]


def _between(calls: Calls, before: Window, after: Window) -> int:
    return len(calls.begun_in(Window("", before.end_ns, after.start_ns)))


def _last_begun_ns(calls: Calls, gap: Window) -> int:
    """Return when the last call before *gap* began: the breaker opened after it, and refused the next."""
    return int(calls.start_ns[np.searchsorted(calls.start_ns, gap.start_ns) - 1])


def _gaps(calls: Calls, window: Window, shortest_ns: float) -> list[Window]:
    """Return when no call was under way, after the first one that met *window*; short gaps are left out."""
    met = calls.under_way_in(window)
    if not len(met):
        return []
    over_ns = np.maximum.accumulate(met.end_ns)
    next_ns = np.append(met.start_ns[1:], window.end_ns)
    wide = np.flatnonzero(next_ns - over_ns > shortest_ns)
    return [Window("silence", int(over_ns[row]), int(next_ns[row])) for row in wide]


def _caller_goes_on(facts: Facts, link: str, gap: Window) -> bool:
    """The caller must go on serving those who need the link, or calls are missing because all its spans are."""
    usual = _served(facts, link, facts.phase(Phase.BASELINE))
    return usual > 0 and _served(facts, link, gap) >= _CALLER_GOES_ON * usual


def _served(facts: Facts, link: str, window: Window) -> float:
    """Return the share of the requests of the link's users that the caller served, by its own server spans."""
    rows = facts.requests.of(*users_of(facts, link)).within(window)
    return float(np.isin(rows.trace_keys, facts.servings(ends_of(link)[0]).key).mean()) if len(rows) else 0.0
