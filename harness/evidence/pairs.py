"""The pairs of windows of an interleaved run as they really were, and how a flow differed between the two of each pair.

A fault window is when all faults were there, a control window when none was; each without the beginning in which the
system settles. A pair in which a fault was missing for more than a moment, or still there, is no pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.evidence.facts import Facts
from harness.evidence.observed.account import LEAST_OF_WINDOW, presence_in
from harness.evidence.observed.presence import LATE_GRACE_NS, Spans
from harness.evidence.requests import Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.windows import Edges
from harness.recording.columns import Outcome
from harness.statistics.shares import FEWEST

Floats = NDArray[np.float64]
QUANTILE = {"p50": 0.5, "p95": 0.95}
_FASTEST_MS, _SLOWEST_MS = 0.01, 600_000.0


@dataclass(frozen=True, slots=True)
class RealPair:
    """Two windows that can be compared."""

    control: Window
    fault: Window


@dataclass(frozen=True, slots=True)
class Differences:
    """How one measure of one flow differed, pair by pair: logs of ratios, or differences of shares.

    Where a window had too few requests the pair is nan.
    """

    by_pair: Floats
    rows: int  # requests in the fault windows
    bad: int  # those that failed
    usual_ms: float  # the quantile in all control windows together

    @property
    def known(self) -> Floats:
        """Those of the pairs that had enough requests."""
        return self.by_pair[np.isfinite(self.by_pair)]


def real_pairs(facts: Facts) -> list[RealPair]:
    """Return the pairs that were as planned, in order; a run without a fault on purpose has all of them."""
    zero_ns = facts.phase(Phase.WARMUP).start_ns
    there = [] if facts.plan.aa else [presence_in(facts, n).real for n in range(len(facts.plan.scenario.faults))]
    settle_ns = _settle_ns(facts)
    found = []
    for pair in facts.plan.window_pairs_s():
        control = _control(_window("control", zero_ns, pair.control), there, max(settle_ns, LATE_GRACE_NS))
        fault = _fault(_window("fault", zero_ns, pair.fault), there)
        if control is not None and fault is not None:
            found.append(RealPair(_settled(control, settle_ns), _settled(fault, settle_ns)))
    return found


def _settle_ns(facts: Facts) -> int:
    design = facts.plan.scenario.design.interleaved
    return round(design.settle * NS_PER_S) if design else 0


def _window(name: str, zero_ns: int, edges: Edges) -> Window:
    return Window(name, *(zero_ns + round(edge * NS_PER_S) for edge in edges))


def _control(planned: Window, there: Sequence[Spans], grace_ns: int) -> Window | None:
    """A fault that goes a moment late shortens the window; one that is there for longer spoils it."""
    inside = [span for spans in there for span in spans if span[0] < planned.end_ns and span[1] > planned.start_ns]
    start_ns = max([planned.start_ns, *(end for _, end in inside)])
    return Window(planned.name, start_ns, planned.end_ns) if start_ns <= planned.start_ns + grace_ns else None


def _fault(planned: Window, there: Sequence[Spans]) -> Window | None:
    """All faults were there at the same time, for nine tenths of the window or but for a moment."""
    start_ns, end_ns = planned.start_ns, planned.end_ns
    for spans in there:
        began_ns = planned.start_ns + LATE_GRACE_NS  # the window before may have ended a moment late
        own = [span for span in spans if span[0] < planned.end_ns and span[1] > began_ns]
        if len(own) != 1:
            return None
        start_ns, end_ns = max(start_ns, own[0][0]), min(end_ns, own[0][1])
    length_ns = planned.end_ns - planned.start_ns
    is_enough = end_ns - start_ns + LATE_GRACE_NS >= LEAST_OF_WINDOW * length_ns
    return Window(planned.name, start_ns, end_ns) if is_enough else None


def _settled(window: Window, settle_ns: int) -> Window:
    return Window(window.name, min(window.start_ns + settle_ns, window.end_ns), window.end_ns)


def differences(rows: Requests, measure: str, pairs: Sequence[RealPair]) -> Differences:
    """Return how *measure* of these requests differed between the windows of each pair."""
    parts = [(rows.within(pair.control), rows.within(pair.fault)) for pair in pairs]
    compare = _shares if measure == "errors" else partial(_ratio, quantile=QUANTILE[measure])
    under = [fault for _, fault in parts]
    usual = np.concatenate([_latencies_ms(control) for control, _ in parts]) if parts else np.empty(0)
    return Differences(
        by_pair=np.array([compare(control, fault) for control, fault in parts], dtype=np.float64),
        rows=sum(map(len, under)),
        bad=int(sum((~part.ended(Outcome.OK)).sum() for part in under)),
        usual_ms=float(np.quantile(usual, QUANTILE.get(measure, 0.5))) if len(usual) else float("nan"),
    )


def _shares(control: Requests, fault: Requests) -> float:
    if min(len(control), len(fault)) < FEWEST:
        return float("nan")
    return float((~fault.ended(Outcome.OK)).mean() - (~control.ended(Outcome.OK)).mean())


def _ratio(control: Requests, fault: Requests, quantile: float) -> float:
    before, under = _latencies_ms(control), _latencies_ms(fault)
    if min(len(before), len(under)) < FEWEST:
        return float("nan")
    return float(np.log(np.quantile(under, quantile)) - np.log(np.quantile(before, quantile)))


def _latencies_ms(rows: Requests) -> Floats:
    """Return latencies of all but unanswered and contradictory requests; what was never sent counts as very slow."""
    told = rows.only(rows.answered & ((rows.end_ns >= rows.due_ns) | rows.ended(Outcome.DROPPED)))
    return np.clip(told.latency_ms, _FASTEST_MS, _SLOWEST_MS)


def windows_of_pair(window: Window, length_ns: int) -> Iterator[tuple[Window, Window]]:
    """Cut *window* into neighbours of this length; what is left at its end is not used."""
    for begin_ns in range(window.start_ns, window.end_ns - 2 * length_ns + 1, 2 * length_ns):
        middle_ns = begin_ns + length_ns
        yield Window("calm", begin_ns, middle_ns), Window("calm", middle_ns, middle_ns + length_ns)
