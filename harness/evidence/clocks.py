"""How far each service's clock is off the load generator's, by the two ends of single calls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from harness.evidence.pairing import NOBODY, Bools, Ints, Links, Spans
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_MS

if TYPE_CHECKING:
    from harness.evidence.facts import Facts

TOLD_NS = 250 * NS_PER_MS
"""Less is within what a busy callee and its network make of it: not said, not corrected."""

_FEWEST_CALLS = 5


def clock_offsets(facts: "Facts", spans: Spans, links: Links) -> Mapping[str, int]:
    """Return by how much each service's clock is ahead of the generator's, ns; services within 250 ms are left out.

    A server span lies in the middle of its call, give or take; the median over calls outside the fault phase is what
    the clocks differ by. Services behind others are reached over their callers.
    """
    ahead = {facts.plan.target.entry: _entry(facts, spans)}
    steps = _between_services(facts, spans, links)
    for _ in range(len(steps)):
        for (caller, callee), difference in steps.items():
            if caller in ahead and callee not in ahead:
                ahead[callee] = ahead[caller] + difference
    return {service: offset for service, offset in ahead.items() if abs(offset) > TOLD_NS}


def _entry(facts: "Facts", spans: Spans) -> int:
    """Compare the entry's server spans with the requests of their traces."""
    rows, code = facts.raw_everything, spans.code(facts.plan.target.entry)
    servers = spans.servers.only(spans.servers.service == code)
    if not len(servers) or not len(rows):
        return 0
    keys = rows.trace_keys
    order = np.argsort(keys, kind="stable")
    place = order[np.minimum(np.searchsorted(keys[order], servers.trace), len(order) - 1)]
    quiet = (keys[place] == servers.trace) & ~_in_fault(facts, rows.due_ns[place])
    return _median(servers.start_ns - rows.start_ns[place], servers.end_ns - rows.end_ns[place], quiet)


def _between_services(facts: "Facts", spans: Spans, links: Links) -> dict[tuple[str, str], int]:
    found = np.flatnonzero(links.client_of != NOBODY)
    callers = spans.clients.only(links.client_of[found])
    callees = spans.servers.only(found)
    quiet = ~_in_fault(facts, callers.start_ns)
    place = callers.service.astype(np.int64) * len(spans.services) + callees.service
    steps = {}
    for code in np.unique(place).tolist():
        caller, callee = divmod(code, len(spans.services))
        these = quiet & (place == code)
        begun, ended = callees.start_ns - callers.start_ns, callees.end_ns - callers.end_ns
        steps[spans.services[caller], spans.services[callee]] = _median(begun, ended, these)
    return steps


def _median(begun_ns: Ints, ended_ns: Ints, chosen: Bools) -> int:
    if int(chosen.sum()) < _FEWEST_CALLS:
        return 0
    return int(np.median((begun_ns[chosen] + ended_ns[chosen]) / 2))


def _in_fault(facts: "Facts", times_ns: Ints) -> Bools:
    window = facts.phase(Phase.FAULT)
    inside: Bools = (times_ns >= window.start_ns) & (times_ns < window.end_ns)
    return inside
