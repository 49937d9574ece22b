"""Requests made up with a known truth: a machine that drifts, stalls and is crowded, and a bystander that is harmed.

level     the log of all latencies wanders with the machine, of one flow with the flow itself (AR(1), 0.25 s a step)
hiccups   all of the machine stands still for 0.05 to 0.2 s, every twenty seconds on average
bursts    a flow gets three times its arrivals for one second, and is a quarter slower meanwhile
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.evidence.requests import OUTCOMES, Requests
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Outcome

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Harm = Callable[[np.random.Generator, Floats], Floats]
"""What the fault does to latencies, ms."""

_STEP_S = 0.25
_TAIL = 0.1
_REMAINS = 0.8  # of the level, after a step
_WANDERS = 0.03
_NOISE = 0.25
_HICCUP_EVERY_S, _HICCUP_S = 20.0, (0.05, 0.2)
_BURST_EVERY_S, _BURST_S, _BURST_RATE, _BURST_SLOW = 15.0, 1.0, 3.0, 1.25


@dataclass(frozen=True, slots=True)
class Machine:
    """What all flows of one run share."""

    level: Floats
    hiccups: Floats  # [number, begin and end]


def machine(random: np.random.Generator, seconds: float) -> Machine:
    """Draw one."""
    count = random.poisson(seconds / _HICCUP_EVERY_S)
    begins = np.sort(random.uniform(0, seconds, count))
    return Machine(_wander(random, seconds), np.column_stack([begins, begins + random.uniform(*_HICCUP_S, count)]))


def _wander(random: np.random.Generator, seconds: float) -> Floats:
    steps = random.normal(0, _WANDERS, int(seconds / _STEP_S) + 2)
    for place in range(1, len(steps)):
        steps[place] += _REMAINS * steps[place - 1]
    return steps


def requests_of(
    random: np.random.Generator,
    on: Machine,
    *,
    seconds: float,
    rate: float,
    median_ms: float,
    harm: Harm,
    windows: Sequence[tuple[float, float]],
    bursty: bool = True,
) -> Requests:
    """Draw one flow of one tenant, harmed in these windows."""
    due_s = _arrivals(random, seconds, rate)
    bursts = random.uniform(0, seconds, random.poisson(seconds / _BURST_EVERY_S))
    bursts = bursts if bursty else bursts[:0]
    extra = (_arrivals(random, _BURST_S, rate * (_BURST_RATE - 1)) + begin for begin in bursts)
    due_s = np.sort(np.concatenate([due_s, *extra]))
    wander = on.level + _wander(random, seconds)
    level = wander[np.minimum((due_s / _STEP_S).astype(np.int64), len(wander) - 1)]
    latency_ms = median_ms * np.exp(level + random.normal(0, _NOISE, len(due_s)))
    latency_ms = np.where(_inside(due_s, [(b, b + _BURST_S) for b in bursts]), latency_ms * _BURST_SLOW, latency_ms)
    latency_ms = np.where(_inside(due_s, windows), harm(random, latency_ms), latency_ms)
    return as_rows(due_s, latency_ms + _waits_ms(due_s, latency_ms, on.hiccups))


def _arrivals(random: np.random.Generator, seconds: float, rate: float) -> Floats:
    return np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))


def _inside(due_s: Floats, windows: Sequence[tuple[float, float]]) -> Bools:
    mask = np.zeros(len(due_s), dtype=np.bool_)
    for begin, end in windows:
        mask |= (due_s >= begin) & (due_s < end)
    return mask


def _waits_ms(due_s: Floats, latency_ms: Floats, hiccups: Floats) -> Floats:
    """A request that is under way when the machine stands still takes as much longer as is left of that."""
    waits = np.zeros(len(due_s))
    for begin, end in hiccups:
        hit = (due_s < end) & (due_s + latency_ms / 1e3 > begin)
        waits += np.where(hit, (end - np.maximum(begin, due_s)) * 1e3, 0.0)
    return waits


def as_rows(due_s: Floats, latency_ms: Floats) -> Requests:
    """Return answered requests."""
    due = (due_s * NS_PER_S).astype(np.int64)
    count, no = len(due), np.zeros(len(due), dtype=np.bool_)
    return Requests(
        due_ns=due,
        start_ns=due,
        end_ns=due + (latency_ms * NS_PER_MS).astype(np.int64),
        status=np.full(count, 200, dtype=np.int16),
        outcome=np.full(count, OUTCOMES.index(Outcome.OK), dtype=np.int8),
        timed_out=no,
        first=~no,
        retry_after=no,
        trace=np.zeros((count, 2), dtype=np.uint64),
    )


def unharmed(_random: np.random.Generator, latency_ms: Floats) -> Floats:
    """Do nothing."""
    return latency_ms


def slower(factor: float) -> Harm:
    """Return what makes every answer so many times slower: its p95 too."""
    return lambda _random, latency_ms: latency_ms * factor


def slower_tail(factor: float) -> Harm:
    """Return what leaves the median, and makes a tenth of the answers so slow that the p95 grows by *factor*."""
    worse = factor * float(np.exp(1.645 * _NOISE))
    return lambda random, latency_ms: latency_ms * np.where(random.random(len(latency_ms)) < _TAIL, worse, 1.0)
