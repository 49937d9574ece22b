"""Calibration: how far neighbouring windows differ where nothing is broken, and how often that alone raises an alarm.

Windows come from runs without a fault (A/A) and from the calm phases of any recordings. Which window of a pair is
called the one with the fault is a coin's choice, so every difference is as likely as its opposite.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.checks.unharmed import reference_level
from harness.evidence.facts import Facts, UndecidableError
from harness.evidence.pairs import RealPair, differences, windows_of_pair
from harness.evidence.requests import Pair
from harness.model.errors import UsageError
from harness.model.files.check_kinds.on_windows import UnharmedCheck
from harness.model.files.design import FEWEST_PAIRS, Interleaved
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.calibration import MEASURES, Calibration, Figures
from harness.model.run.clock import NS_PER_S
from harness.model.run.plan import Plan
from harness.recording.reader import Recording
from harness.runner.machine import describe_machine
from harness.statistics.containment import against_margins
from harness.statistics.pairs import Contained, reference_weight
from harness.workflows.trial import run_trial

RESAMPLED = 400
"""So many runs without a fault are put together from the pairs."""

_FEWEST_FOR_FIGURES = 4
Floats = NDArray[np.float64]
Key = tuple[str, str, str]  # tenant, flow, measure


@dataclass(frozen=True, slots=True)
class CalmPair:
    """How everything differed between two neighbouring windows, and how the other tenants did meanwhile."""

    effects: Mapping[Key, float]
    references: Mapping[Key, float]


def run_without_fault(plan: Plan, runs: Path, number: int) -> Path:
    """Run *plan* with its load and without its faults; return the recording."""
    calm = plan.model_copy(update={"aa": True, "seed": plan.seed + number, "calibration": None})
    trial = run_trial(calm, runs=runs)
    if trial.error:
        raise trial.error
    return trial.run


def calibrate(recordings: Sequence[Path], design: Interleaved, *, seed: int) -> Calibration:
    """Return the figures of this machine by *recordings* of one target.

    Raises:
        UsageError: they are of several targets, or have too few calm windows.
    """
    facts = [Facts(Recording(path)) for path in recordings]
    targets = {each.plan.target.name for each in facts}
    if len(targets) != 1:
        msg = f"a calibration is for one target; these recordings are of {', '.join(sorted(targets)) or 'none'}"
        raise UsageError(msg)
    pairs = [pair for number, each in enumerate(facts) for pair in calm_pairs(each, design, seed=seed + number)]
    if len(pairs) < _FEWEST_FOR_FIGURES:
        msg = f"{len(recordings)} recordings hold only {len(pairs)} pairs of calm windows of {design.window:g}s"
        raise UsageError(msg, hint=f"{_FEWEST_FOR_FIGURES} are needed: give it more recordings, or longer ones")
    return Calibration(
        machine=describe_machine(),
        target=targets.pop(),
        window_s=design.window,
        pairs=design.pairs,
        figures={"/".join(key): figures for key in _keys(pairs) if (figures := _figures(pairs, key))},
        runs=RESAMPLED,
        false_alarms=false_alarms(pairs, design.pairs, seed=seed),
    )


# -- pairs of windows in which nothing was broken ----------------------------------------------------------------------


def calm_pairs(facts: Facts, design: Interleaved, *, seed: int) -> Iterator[CalmPair]:
    """Cut the calm stretches of a recording into pairs of windows, and compare the two of each."""
    random = np.random.default_rng(seed)
    length_ns, settle_ns = (round(seconds * NS_PER_S) for seconds in (design.window, design.settle))
    for stretch, subjects in _calm(facts):
        halves = list(windows_of_pair(stretch, length_ns))
        pairs = [_drawn(random, [_later(window, settle_ns) for window in pair]) for pair in halves]
        yield from _compared(facts, subjects, pairs)


def _calm(facts: Facts) -> Iterator[tuple[Window, Sequence[Pair]]]:
    """The whole of a run without a fault; else the baseline, and for bystanders the time after the recovery."""
    try:
        baseline, recovery = facts.phase(Phase.BASELINE), facts.phase(Phase.RECOVERY)
    except UndecidableError:
        return
    if facts.plan.aa:
        yield Window("calm", baseline.start_ns, recovery.end_ns), facts.loaded
        return
    yield baseline, facts.loaded
    calm_ns = max(recovery.start_ns, facts.faults_end_ns + round(facts.plan.target.defaults.recovery * NS_PER_S))
    yield Window("calm", calm_ns, recovery.end_ns), facts.bystanders


def _later(window: Window, settle_ns: int) -> Window:
    return Window(window.name, window.start_ns + settle_ns, window.end_ns)


def _drawn(random: np.random.Generator, halves: Sequence[Window]) -> RealPair:
    first = int(random.random() < 0.5)
    return RealPair(control=halves[first], fault=halves[1 - first])


def _compared(facts: Facts, subjects: Sequence[Pair], pairs: Sequence[RealPair]) -> Iterator[CalmPair]:
    if not pairs:
        return
    effects = {
        (*pair, measure): differences(facts.requests.of(pair), measure, pairs).by_pair
        for pair in subjects
        for measure in MEASURES
    }
    tenants = list(facts.plan.scenario.load)
    levels = {tenant: reference_level(facts, tenant, pairs) for tenant in tenants}
    for place in range(len(pairs)):
        known = {key: float(series[place]) for key, series in effects.items() if np.isfinite(series[place])}
        others = {key: _mean_of_others(levels, key[0], place) for key in known}
        yield CalmPair(known, {key: level for key, level in others.items() if np.isfinite(level)})


def _mean_of_others(levels: Mapping[str, Floats], tenant: str, place: int) -> float:
    others = [float(series[place]) for name, series in levels.items() if name != tenant]
    known = [level for level in others if np.isfinite(level)]
    return float(np.mean(known)) if known else float("nan")


# -- figures -----------------------------------------------------------------------------------------------------------


def _keys(pairs: Sequence[CalmPair]) -> list[Key]:
    return sorted({key for pair in pairs for key in pair.effects})


def _figures(pairs: Sequence[CalmPair], key: Key) -> Figures | None:
    effects = np.array([pair.effects[key] for pair in pairs if key in pair.effects])
    if len(effects) < _FEWEST_FOR_FIGURES:
        return None
    both = [(p.effects[key], p.references[key]) for p in pairs if key in p.effects and key in p.references]
    weight = reference_weight(*np.array(both).T) if key[2] != "errors" and len(both) >= _FEWEST_FOR_FIGURES else 0.0
    scatter = float(np.sqrt((effects**2).mean()))  # around zero: nothing was broken
    return Figures(scatter=round(scatter, 4), weight=round(weight, 3), pairs=len(effects))


def false_alarms(pairs: Sequence[CalmPair], of: int, *, seed: int) -> float:
    """Return the share of resampled runs of so many pairs without a fault that the check would call leaked."""
    random = np.random.default_rng(seed)
    alarms = 0
    for _ in range(RESAMPLED):
        chosen = [pairs[place] for place in random.integers(0, len(pairs), of)]
        alarms += _alarms(chosen, random.choice([-1.0, 1.0], of))
    return alarms / RESAMPLED


def _alarms(chosen: Sequence[CalmPair], signs: Floats) -> bool:
    margins = UnharmedCheck()
    series, limits = [], []
    for key in _keys(chosen):
        found = [s * p.effects[key] for p, s in zip(chosen, signs, strict=True) if key in p.effects]
        if len(found) >= FEWEST_PAIRS:
            series.append(np.array(found))
            limits.append(margins.errors if key[2] == "errors" else float(np.log(margins.margin.limit)))
    return any(judged.outcome is Contained.LEAKED for judged in against_margins(series, limits))
