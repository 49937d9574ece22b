"""How often a call was tried, told from both sides: the caller's spans and counter, the callee's, the proxy's hits."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.evidence.calls import Calls
from harness.evidence.counters import increase
from harness.evidence.facts import Facts, Sample
from harness.evidence.ids import key_of
from harness.model.files.faults import HTTP_KINDS
from harness.model.files.target import ends_of
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.model.run.plan import fault_name

ATTEMPTS_METRIC = "resilience_retry_attempts_total"
_TOGETHER_NS = 2 * NS_PER_S
_AROUND_NS = NS_PER_S
Ints = NDArray[np.int64]


def hidden_repeats(facts: Facts, link: str, calls: Calls) -> Ints:
    """Return for each call how many more requests than one reached the callee under its span.

    A library that repeats a request by itself, below the retry policy, shows only there.
    """
    if not len(calls):
        return np.zeros(0, dtype=np.int64)
    served = facts.servings(ends_of(link)[1]).begun_in(Window("", int(calls.start_ns[0]), int(calls.end_ns.max()) + 1))
    own, made_by = key_of(calls.trace) ^ calls.id, np.sort(served.key ^ served.parent)
    counts = np.searchsorted(made_by, own, side="right") - np.searchsorted(made_by, own, side="left")
    extra: Ints = counts - (counts > 0)
    return extra


def repeats_after_failure(calls: Calls) -> NDArray[np.bool_]:
    """Say of each call whether the same span had made the same call before, and that one had failed."""
    again = np.zeros(len(calls), dtype=np.bool_)
    failed_at: dict[tuple[int, int, str], int] = {}
    keys = key_of(calls.trace)
    for row in np.argsort(calls.start_ns, kind="stable").tolist():
        who = int(keys[row]), int(calls.parent[row]), str(calls.name[row])
        again[row] = who in failed_at and failed_at[who] <= calls.start_ns[row]
        if calls.failed[row]:
            failed_at[who] = min(failed_at.get(who, int(calls.end_ns[row])), int(calls.end_ns[row]))
    return again


def times_of_trouble(moments_ns: Ints, window: Window) -> list[Window]:
    """Return the stretches of *window* in which attempts failed or were repeated, quiet seconds left out."""
    if not len(moments_ns):
        return []
    moments = np.sort(moments_ns)
    breaks = np.flatnonzero(np.diff(moments) > _TOGETHER_NS)
    begins, ends = moments[np.append(0, breaks + 1)], moments[np.append(breaks, len(moments) - 1)]
    edges = zip(begins.tolist(), ends.tolist(), strict=True)
    return [
        Window("trouble", max(window.start_ns, begin - _AROUND_NS), min(window.end_ns, end + _AROUND_NS))
        for begin, end in edges
    ]


@dataclass(frozen=True, slots=True)
class Counted:
    """Attempts by the caller's counter: all, the first ones, and the time between the scrapes that they lie in."""

    total: int
    first: int
    window: Window


def counted(facts: Facts, link: str, window: Window) -> Counted | None:
    """Return the caller's own count in *window*; None where it exports none, or too few scrapes of it."""
    series: dict[str, list[Sample]] = {}
    for sample in facts.metric(ATTEMPTS_METRIC, link=link):
        series.setdefault(sample.service + json.dumps(sample.labels, sort_keys=True), []).append(sample)
    moments = sorted({s.time_ns for samples in series.values() for s in samples})
    inside = [moment for moment in moments if window.start_ns <= moment < window.end_ns]
    if len(inside) < 2 or inside[-1] - inside[0] < (window.end_ns - window.start_ns) / 2:
        return None
    between = Window("between scrapes", inside[0], inside[-1])
    after = Window("", inside[0] + 1, inside[-1] + 1)
    grown = {key: increase(samples, after) or 0.0 for key, samples in series.items()}
    first = sum(grown[key] for key, samples in series.items() if samples[0].labels.get("attempt") == "0")
    return Counted(round(sum(grown.values())), round(first), between)


def hits(facts: Facts, link: str) -> tuple[int, Window] | None:
    """Return how many requests over *link* the proxy's fault hit, and when; None where no fault counts requests."""
    for number, fault in enumerate(facts.plan.scenario.faults):
        if link == fault.link and fault.kind in HTTP_KINDS:
            told = [e for e in facts.recording.events_of(Kind.FAULT_OBSERVED) if e.text("fault") == fault_name(number)]
            if told and "requests" in told[-1].fields:
                return int(told[-1].number("requests")), facts.fault_window(number)
    return None


def unclaimed(facts: Facts, link: str, window: Window, baseline: Window) -> int:
    """Return how many requests the callee served in *window* that no recorded call made, beyond what is usual.

    Only where the link is the callee's one way in: other callers' calls are not looked at.
    """
    callee = ends_of(link)[1]
    if sum(ends_of(name)[1] == callee for name in facts.plan.target.links) > 1:
        return 0
    before, served_before = _without_call(facts, link, baseline)
    now, served_now = _without_call(facts, link, window)
    usual = before / served_before if served_before else 1.0
    return max(0, now - round(served_now * usual))


def _without_call(facts: Facts, link: str, window: Window) -> tuple[int, int]:
    """Return how many requests the callee served in *window* without a recorded call, and how many in all."""
    served, calls = facts.servings(ends_of(link)[1]).begun_in(window), facts.calls(link).under_way_in(window)
    known = np.isin(served.key ^ served.parent, key_of(calls.trace) ^ calls.id)
    return int((~known).sum()), len(served)
