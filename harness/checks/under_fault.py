"""One bound of one pair under the fault: its share, its outages, the fault's own time, and what would have been missed.

The rules stand in docs/bounds.md.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.checks.bounds import broken, counted, evidence, finding_of, measure
from harness.evidence.facts import Facts
from harness.evidence.requests import Bools, Pair, Requests
from harness.model.files.scenario import Phase
from harness.model.files.units import Bound, format_duration, format_share
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.promises import allowed_share, levels_of
from harness.statistics.power import is_no_chance, longest_run, rows_to_notice, would_notice

ALONE = 2
"""Under the fault alone a run must notice twice the harm that it must notice from the fault to its end."""

_MOST_OF_THE_PHASE = 0.8
_MOST_BROKEN = 0.01


@dataclass(frozen=True, slots=True)
class Judging:
    """What is judged: a measure of a pair against its bound; *own* where the scenario states it for a victim."""

    facts: Facts
    pair: Pair
    name: str
    bound: Bound
    own: bool = False

    @property
    def allowed(self) -> float:
        """The share of bad requests that the bound allows."""
        return allowed_share(self.name, self.bound)

    def rows(self, *windows: Window) -> tuple[Requests, Bools]:
        """Return the requests of these windows, and which of them are bad."""
        mine = self.facts.requests.of(self.pair)
        parts = [mine.within(window) for window in windows]
        due = np.concatenate([part.due_ns for part in parts]) if parts else np.empty(0, np.int64)
        return counted(mine.only(np.isin(mine.due_ns, due)), self.name, self.bound)


def judge_under_fault(judging: Judging) -> Finding:
    """Judge the fault phase; of a bystander also the fault's own time, and whether harm could have been missed."""
    facts, window = judging.facts, judging.facts.phase(Phase.FAULT)
    found = judge_window(judging, window)
    if found.status is not Status.FAIL and not judging.own and (burst := _while_it_was_there(judging, found)):
        return burst
    after = facts.phase(Phase.RECOVERY)
    if found.status is not Status.PASS or judging.allowed >= 1 or facts.seen_until_ns < after.end_ns:
        return found
    return _unless_missed(judging, found, (window, after))


def judge_window(judging: Judging, window: Window) -> Finding:
    """Judge one window: the share, and whether nobody was served for longer than the bound allows."""
    facts, pair = judging.facts, judging.pair
    rows = facts.requests.of(pair).within(window)
    measured = measure(rows, judging.name, judging.bound, window, seed=facts.seed)
    found = finding_of(facts, f"{pair.tenant} {pair.flow} {judging.name}", measured, judging.bound, window)
    found = replace(found, tenant=pair.tenant, flow=pair.flow)
    if found.status is Status.FAIL:
        return found
    if outage := _outage(judging, (window,), found):
        return outage
    return _unless_broken(rows, found)


def _unless_broken(rows: Requests, found: Finding) -> Finding:
    """A row that ended before it began is no evidence of anything, least of all of a fast answer."""
    odd = int(broken(rows).sum())
    if found.status is not Status.PASS or odd <= _MOST_BROKEN * len(rows):
        return found
    reason = f"{odd} of {len(rows)} requests ended before they were due or sent: compare the clocks."
    return found.undecided(Cause.TELEMETRY_LOST, reason)


def _outage(judging: Judging, windows: tuple[Window, ...], found: Finding) -> Finding | None:
    """Return the failure, if the longest run of bad requests is no chance and longer than the bound allows."""
    rows, bad = judging.rows(*windows)
    run = longest_run(bad)
    if run is None or not is_no_chance(run, len(rows), judging.allowed):
        return None
    lasted_s = float(rows.due_ns[run.last] - rows.due_ns[run.first]) / NS_PER_S
    total_s = sum(window.end_ns - window.start_ns for window in windows) / NS_PER_S
    if lasted_s <= judging.allowed * total_s:
        return None
    what = "served" if judging.name == "errors" else f"answered within {judging.bound.show(judging.bound.limit)}"
    reason = (
        f"No request was {what} for {lasted_s:.1f} s, from {judging.facts.offset_s(int(rows.due_ns[run.first])):.1f} s "
        f"on: {len(run)} in a row. The bound allows {judging.allowed * total_s:.2g} s of {total_s:.2g} s."
    )
    shown = evidence(judging.facts, rows.only(slice(run.first, run.last + 1)))
    return replace(found, status=Status.FAIL, cause=None, reason=reason, evidence=shown)


def _while_it_was_there(judging: Judging, found: Finding) -> Finding | None:
    """Return the failure that shows only in the time of the faults themselves, where that is a part of the phase."""
    facts, phase = judging.facts, judging.facts.phase(Phase.FAULT)
    windows = own_windows(facts)
    length_ns = sum(window.end_ns - window.start_ns for window in windows)
    if not 0 < length_ns < _MOST_OF_THE_PHASE * (phase.end_ns - phase.start_ns):
        return None
    if outage := _outage(judging, windows, found):
        return outage
    rows = judging.rows(*windows)[0]
    measured = measure(rows, judging.name, judging.bound, phase, seed=facts.seed)
    if measured.status is not Status.FAIL:
        return None
    reason = (
        f"{measured.value} of the {len(rows)} requests in the {length_ns / NS_PER_S:.3g} s of the faults themselves."
    )
    return replace(found, status=Status.FAIL, cause=None, reason=reason, evidence=evidence(facts, measured.worst))


def own_windows(facts: Facts) -> tuple[Window, ...]:
    """Return when any fault was there, in order and without overlap."""
    merged: list[Window] = []
    for window in sorted(_each_fault(facts), key=lambda w: w.start_ns):
        if merged and window.start_ns <= merged[-1].end_ns:
            last = merged.pop()
            window = Window("fault", last.start_ns, max(last.end_ns, window.end_ns))
        merged.append(window)
    return tuple(merged)


def _each_fault(facts: Facts) -> list[Window]:
    zero_ns = facts.phase(Phase.WARMUP).start_ns
    found = []
    for number in range(len(facts.plan.scenario.faults)):
        if not facts.plan.is_repeated(number):
            found.append(facts.fault_window(number))
            continue
        for edges in facts.plan.fault_windows_s(number):
            start_ns, end_ns = (zero_ns + round(edge * NS_PER_S) for edge in edges)
            found.append(Window("fault", start_ns, end_ns))
    return found


def _unless_missed(judging: Judging, found: Finding, windows: tuple[Window, Window]) -> Finding:
    """A pass needs that the leak level would have been found with 95 %: since the fault, and twice it in its phase."""
    level = levels_of(judging.facts.plan, judging.pair.flow).of(judging.name)
    demands: list[tuple[tuple[Window, ...], float]] = [((windows[0],), ALONE * level)]
    if not judging.own:
        demands.append((windows, level))
    for where, harm in demands:
        rows, bad = judging.rows(*where)
        harm = harm_of(harm, judging.allowed)
        if not would_notice(int(bad.sum()), len(rows), harm):
            return found.undecided(Cause.TOO_FEW_SAMPLES, _would_miss(judging, len(rows), int(bad.sum()), harm, where))
    return found


def harm_of(level: float, allowed: float) -> float:
    """Return the share that must not go unseen: the leak level, or twice what is allowed where that is more."""
    return max(level, 2 * allowed)


def _would_miss(judging: Judging, rows: int, bad: int, harm: float, windows: tuple[Window, ...]) -> str:
    since = "under the fault" if len(windows) == 1 else "since the fault began"
    what = "errors" if judging.name == "errors" else "slow answers"
    seconds = format_duration(round(sum(w.end_ns - w.start_ns for w in windows) / NS_PER_S, 3))
    return (
        f"{rows:,} requests in {seconds} {since} ({bad} bad) would miss {format_share(harm)} of {what}; "
        f"about {rows_to_notice(bad, harm):,} would do: load it more, make the phases longer, or state a leak level."
    )
