"""Void time: when the harness, its load or its machine was not well, so that what was measured says nothing.

    late      the generator sent a tenth of its requests more than 100 ms late, for two seconds
    busy      hardly anything of the machine's cores was idle, and nobody recorded who took them
    shared    hardly anything was idle, and other programs took a quarter or more: what failed then may be their work,
              what held was held under harder conditions and counts
    silent    nothing was sent at all while many arrivals were due: the generator, its disk or the machine stood still

A pause of the machine shows as silence, on the clock of the run; a step of the wall clock cannot bend that clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from harness.evidence.requests import Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.facts import Facts, Sample

LATE_MS = 100.0
LATE_SHARE = 0.9
BUSY_LIMIT = 0.95
FOREIGN_LIMIT = 0.25
FEWEST_MISSED = 20
"""So many arrivals in a row are missing by chance once in half a billion gaps."""

_SLIDING_NS = 2 * NS_PER_S
_STEP_NS = NS_PER_S
_FEWEST_SENT = 5
_SAMPLES = 3  # of the machine, a second each
_LATE = "the generator sent a tenth of its requests over 100 ms late"
_SATURATING = ("surge", "cpu_stress")


@dataclass(frozen=True, slots=True)
class VoidTime:
    """A stretch of the run that proves nothing, and why."""

    start_ns: int
    end_ns: int
    why: str
    is_empty: bool = False  # nothing was recorded, so there is no rest to judge by
    only_excuses: bool = False  # failures do not count; what held does

    def overlap_ns(self, window: Window) -> int:
        """Return how much of *window* it spoils."""
        return max(0, min(self.end_ns, window.end_ns) - max(self.start_ns, window.start_ns))


def void_times(facts: "Facts") -> Iterator[VoidTime]:
    """Yield all void time of the phases, merged by its reason."""
    for found in (_late(facts), _busy(facts), _silent(facts)):
        yield from _merged(sorted(found, key=lambda void: void.start_ns))


def sound_rows(rows: Requests, void: Sequence[VoidTime]) -> Requests:
    """Return the requests that were not under way in void time."""
    spoiled = np.zeros(len(rows), dtype=np.bool_)
    for time in (time for time in void if not time.only_excuses):
        spoiled |= (rows.due_ns < time.end_ns) & (np.maximum(rows.end_ns, rows.due_ns + 1) > time.start_ns)
    return rows.only(~spoiled) if spoiled.any() else rows


def spoiled_share(void: Sequence[VoidTime], window: Window) -> float:
    """Return the share of *window* that is void; where two reasons overlap it counts once."""
    edges = sorted({window.start_ns, window.end_ns, *(e for v in void for e in (v.start_ns, v.end_ns))})
    inside = [(a, b) for a, b in pairwise(edges) if window.start_ns <= a and b <= window.end_ns]
    spoiled = sum(b - a for a, b in inside if any(v.start_ns <= a and b <= v.end_ns for v in void))
    return spoiled / max(1, window.end_ns - window.start_ns)


def _run(facts: "Facts") -> Window:
    return Window("run", facts.phase(Phase.WARMUP).start_ns, facts.phase(Phase.RECOVERY).end_ns)


def _late(facts: "Facts") -> Iterator[VoidTime]:
    window = _run(facts)
    arrivals = facts.raw_everything.within(window)
    arrivals = arrivals.only(arrivals.first).sent
    lag_ms = (arrivals.start_ns - arrivals.due_ns) / NS_PER_MS
    for begin_ns in range(window.start_ns, window.end_ns, _STEP_NS):
        first, last = np.searchsorted(arrivals.due_ns, (begin_ns, min(begin_ns + _SLIDING_NS, window.end_ns)))
        if last - first >= _FEWEST_SENT:
            tenth_ms = float(np.quantile(lag_ms[first:last], LATE_SHARE, method="lower"))
            if tenth_ms > LATE_MS:
                these = first + np.flatnonzero(lag_ms[first:last] > LATE_MS)
                until_ns = max(int(arrivals.start_ns[these].max()), int(arrivals.due_ns[these[-1]]) + 1)
                yield VoidTime(int(arrivals.due_ns[these[0]]), until_ns, _LATE)


def _busy(facts: "Facts") -> Iterator[VoidTime]:
    """By what other programs took; without that by how busy all cores were, unless a fault of the run fills them.

    A target that takes the whole machine for itself is slow by its own fault.
    """
    foreign = _in_run(facts, "host_cpu_foreign_ratio")
    if foreign:
        why = "other programs took the machine's cores"
        for void in _above(facts, foreign, FOREIGN_LIMIT, why, _in_run(facts, "host_cpu_busy_ratio")):
            yield replace(void, only_excuses=True)
        return
    why = f"the machine was more than {BUSY_LIMIT:.0%} busy"
    meant = _meant_to_saturate(facts)
    for void in _above(facts, _in_run(facts, "host_cpu_busy_ratio"), BUSY_LIMIT, why, ()):
        if not any(void.overlap_ns(window) for window in meant):
            yield void


def _above(
    facts: "Facts", samples: Sequence["Sample"], limit: float, why: str, busy: Sequence["Sample"]
) -> Iterator[VoidTime]:
    """Yield each second-long stretch around which the mean of three samples is above *limit*."""
    values = np.array([sample.value for sample in samples])
    total = {sample.time_ns: sample.value for sample in busy}
    for n in range(len(values) - _SAMPLES + 1):
        these = samples[n : n + _SAMPLES]
        mean = float(values[n : n + _SAMPLES].mean())
        is_full = not total or np.mean([total.get(sample.time_ns, 1.0) for sample in these]) > BUSY_LIMIT
        if mean > limit and is_full:
            begin_ns = max(these[0].time_ns - NS_PER_S, _run(facts).start_ns)
            yield VoidTime(begin_ns, these[-1].time_ns, why)


def _in_run(facts: "Facts", name: str) -> list["Sample"]:
    window = _run(facts)
    return [s for s in facts.metric(name) if window.start_ns <= s.time_ns <= window.end_ns + NS_PER_S]


def _meant_to_saturate(facts: "Facts") -> list[Window]:
    faults = enumerate(facts.plan.scenario.faults)
    windows = [facts.fault_window(number) for number, fault in faults if fault.kind in _SATURATING]
    return [Window(w.name, w.start_ns - 2 * NS_PER_S, w.end_ns + 2 * NS_PER_S) for w in windows]


def _silent(facts: "Facts") -> Iterator[VoidTime]:
    """A gap between arrivals in which many were due: they were not sent, or not recorded."""
    window = _run(facts)
    rate = sum(rate for flows in facts.plan.scenario.load.values() for rate in flows.values())
    due_ns = facts.raw_everything.within(window).due_ns
    if not len(due_ns) or not rate:
        return
    longest_ns = max(NS_PER_S, FEWEST_MISSED / rate * NS_PER_S)
    end_ns = min(window.end_ns, facts.seen_until_ns)
    edges = np.concatenate([[window.start_ns], due_ns, [end_ns]])
    for place in np.flatnonzero(np.diff(edges) > longest_ns).tolist():
        yield VoidTime(int(edges[place]), int(edges[place + 1]), "no request was sent or recorded", is_empty=True)


def _merged(void: Sequence[VoidTime]) -> list[VoidTime]:
    merged: list[VoidTime] = []
    for time in void:
        if merged and merged[-1].end_ns >= time.start_ns:
            last = merged.pop()
            time = replace(time, start_ns=last.start_ns, end_ns=max(last.end_ns, time.end_ns))
        merged.append(time)
    return merged
