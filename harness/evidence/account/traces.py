"""Spans against requests and against each other: who saw a call, and whose record of it is missing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from harness.evidence.account.loss import Ints, Signal, Times
from harness.evidence.pairing import NOBODY, Bools, Ends, Links, Spans, among, by_service
from harness.model.files.faults import HTTP_KINDS
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.facts import Facts

LEAST_LINKED = 0.05
"""Two ends of which fewer meet are no evidence: something between them records no spans, or carries no context."""

_STILL_UNDER_WAY_NS = 2 * NS_PER_S  # spans are exported in batches: the last ones may be missing
_LOST_BY_A_KILL_NS = 6 * NS_PER_S  # what waits for its export dies with the process; exporters wait 5 s by default
_BACK_AGAIN_NS = 2 * NS_PER_S
_KILLING = ("kill", "restart", "memory_limit")


def missing_spans(facts: "Facts", spans: Spans, links: Links) -> Iterator[Times]:
    """Yield what should be there and is not, service by service; what a kill takes along is no loss."""
    settled = _settled(facts)
    yield from _at_entry(facts, spans, settled)
    for code, service in by_service(spans):
        if service != facts.plan.target.entry:
            yield from _at(facts, spans, links, (code, service), settled)


def _settled(facts: "Facts") -> Window:
    begin_ns, end_ns = facts.phase(Phase.WARMUP).start_ns, facts.phase(Phase.RECOVERY).end_ns
    return Window("settled", begin_ns, min(end_ns, facts.seen_until_ns - _STILL_UNDER_WAY_NS))


def _at_entry(facts: "Facts", spans: Spans, settled: Window) -> Iterator[Times]:
    """Every request that was answered has its server span at the entry, and the other way round."""
    entry = facts.plan.target.entry
    servers = spans.servers.only(spans.servers.service == spans.code(entry))
    rows = facts.at_entry
    rows = rows.only((rows.status > 0) & _inside(rows.due_ns, settled))
    rows = rows.only(~_dead(facts, entry, rows.end_ns))
    if not len(servers) or not len(rows):
        return
    seen = among(rows.trace_keys, np.sort(servers.trace))
    if seen.mean() < LEAST_LINKED:
        return
    stray = servers.only(_inside(servers.start_ns, settled) & servers.has_parent)
    stray = stray.only(~among(stray.trace, np.sort(facts.raw_everything.trace_keys)))
    lost, orphans = np.sort(rows.due_ns[~seen]), np.sort(stray.start_ns)
    yield Times(Signal.SPANS, lost, f"server spans of {entry}", entry, orphans)
    yield Times(Signal.REQUESTS, orphans, f"requests that {entry} saw", entry, lost)


def _at(facts: "Facts", spans: Spans, links: Links, callee: tuple[int, str], settled: Window) -> Iterator[Times]:
    """Compare the calls to one service with what it recorded of them, and the other way round."""
    code, service = callee
    calls = (spans.clients.callee == code) & ~spans.clients.failed & spans.clients.has_parent & ~links.answered
    calls &= _inside(spans.clients.end_ns, settled) & _reaches(facts, service, spans.clients)
    calls &= ~_dead(facts, service, spans.clients.end_ns)
    servers = (spans.servers.service == code) & _inside(spans.servers.start_ns, settled)
    unanswered = spans.clients.only(calls)
    below = links.client_of[servers] != NOBODY
    recorded = spans.servers.only(servers)
    if not below.any() or below.mean() < LEAST_LINKED:
        return
    alone = recorded.only(~below)
    unlinked = alone.only(~(alone.has_parent & spans.exists(alone.parent)))
    lost = np.sort(unanswered.start_ns[spans.exists(unanswered.parent)])
    strays = np.sort(unlinked.start_ns)
    yield Times(Signal.SPANS, lost, f"server spans of {service}", service, strays)
    torn = unlinked.only(unlinked.has_parent & ~_caller_dead(facts, service, unlinked.start_ns))
    yield Times(Signal.SPANS, np.sort(torn.start_ns), f"client spans of calls to {service}", service, lost)


def _inside(times_ns: Ints, window: Window) -> Bools:
    inside: Bools = (times_ns >= window.start_ns) & (times_ns < window.end_ns)
    return inside


def _reaches(facts: "Facts", service: str, calls: Ends) -> Bools:
    """Leave out the calls that a fault answered in the callee's place, or kept from it."""
    reached = np.ones(len(calls), dtype=np.bool_)
    for number, fault in enumerate(facts.plan.scenario.faults):
        if fault.kind in HTTP_KINDS and fault.link and fault.link.endswith(f" -> {service}"):
            window = facts.fault_window(number)
            reached &= (calls.end_ns < window.start_ns) | (calls.start_ns > window.end_ns + _BACK_AGAIN_NS)
    return reached


def _dead(facts: "Facts", service: str, times_ns: Ints) -> Bools:
    """Say of each moment whether what *service* recorded then was lost with its process: a fault's own work."""
    lost = np.zeros(len(times_ns), dtype=np.bool_)
    for number, fault in enumerate(facts.plan.scenario.faults):
        if fault.service == service and fault.kind in _KILLING:
            window = facts.fault_window(number)
            after_ns = window.end_ns + _BACK_AGAIN_NS
            lost |= (times_ns >= window.start_ns - _LOST_BY_A_KILL_NS) & (times_ns < after_ns)
    return lost


def _caller_dead(facts: "Facts", service: str, times_ns: Ints) -> Bools:
    lost = np.zeros(len(times_ns), dtype=np.bool_)
    for link in facts.plan.target.links:
        caller, _, callee = link.partition(" -> ")
        if callee == service:
            lost |= _dead(facts, caller, times_ns)
    return lost
