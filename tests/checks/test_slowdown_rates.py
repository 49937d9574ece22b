"""False alarms and detection of the comparison with the own baseline, on latencies made up with a known truth.

Latencies are log-normal; their level drifts from second to second, for all (the machine) and for each flow.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.checks.slowdown import judge_slowdown
from harness.evidence.requests import OUTCOMES, Pair, RequestLog, Requests
from harness.model.files.scenario import Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Status, Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Outcome
from tests.recordings import small_plan

LOAD = {t: {"browse": 8, "checkout": 4} for t in ("acme", "globex", "initech")}
PHASES = {"warmup": "1s", "baseline": "16s", "fault": "20s", "recovery": "16s"}
PLAN = small_plan(scenario={"load": LOAD, "phases": PHASES, "blast_radius": {}})
MEDIAN_MS = {"browse": 20.0, "checkout": 90.0}
BOUND = Bound("<=", 1.5, "x")
RUNS = 60
AT_S = {Phase.BASELINE: (1, 17), Phase.FAULT: (17, 37)}


def drift(random, seconds, size):
    """Return the log of the level, second by second: half of the last one remains."""
    level = np.zeros(seconds)
    for second in range(1, seconds):
        level[second] = 0.5 * level[second - 1] + random.normal(0, size)
    return level


def requests(random, rate, median_ms, machine, harm):
    due_s = np.sort(random.uniform(1, 37, random.poisson(rate * 36)))
    level = machine + drift(random, 40, 0.1)
    latency_ms = median_ms * np.exp(level[due_s.astype(int)] + random.normal(0, 0.3, len(due_s)))
    latency_ms = np.where(due_s >= 17, harm(random, latency_ms), latency_ms)
    due = (due_s * NS_PER_S).astype(np.int64)
    count, no = len(due), np.zeros(len(due), bool)
    outcome = np.full(count, OUTCOMES.index(Outcome.OK), np.int8)
    end = due + (latency_ms * NS_PER_MS).astype(np.int64)
    status = np.full(count, 200, np.int16)
    return Requests(due, due, end, status, outcome, no, ~no, no, np.zeros((count, 2), np.uint64))


HARMED = [Pair("globex", "checkout")]


def run_of(seed, harm):
    random = np.random.default_rng(seed)
    machine = drift(random, 40, 0.1)
    pairs = [Pair(t, f) for t, flows in LOAD.items() for f in flows]
    nothing = lambda _random, latency_ms: latency_ms  # noqa: E731
    log = {p: requests(random, LOAD[p.tenant][p.flow], MEDIAN_MS[p.flow], machine, harm if p in HARMED else nothing)
           for p in pairs}  # fmt: skip
    windows = {phase: Window(phase.value, a * NS_PER_S, b * NS_PER_S) for phase, (a, b) in AT_S.items()}
    return SimpleNamespace(
        requests=RequestLog(log), phase=windows.__getitem__, plan=PLAN, seed=seed, bystanders=tuple(pairs)
    )


def statuses(harm, judged):
    facts = [run_of(seed, harm) for seed in range(RUNS)]
    return [[judge_slowdown(f, pair, BOUND, f.phase(Phase.FAULT)).status for pair in judged] for f in facts]


def times(factor):
    return lambda _random, latency_ms: latency_ms * factor


def test_a_run_without_harm_is_hardly_ever_called_harmed_or_undecided():
    everybody = [Pair(t, f) for t, flows in LOAD.items() for f in flows]
    found = statuses(times(1), everybody)
    assert sum(Status.FAIL in run for run in found) == 0
    assert sum(Status.UNKNOWN in run for run in found) <= 0.1 * RUNS


@pytest.mark.parametrize(("factor", "failed"), [(2, 0.7), (3, 0.97), (5, 1.0)])
def test_a_bystander_twice_as_slow_is_never_called_unharmed(factor, failed):
    found = [run[0] for run in statuses(times(factor), HARMED)]
    assert sum(status is Status.PASS for status in found) <= 0.05 * RUNS
    assert sum(status is Status.FAIL for status in found) >= failed * RUNS


def test_a_tail_five_times_as_slow_is_hardly_ever_called_unharmed():
    def tail(random, latency_ms):
        return np.where(random.random(len(latency_ms)) < 0.15, latency_ms * 5, latency_ms)

    found = [run[0] for run in statuses(tail, HARMED)]
    assert sum(status is Status.PASS for status in found) <= 0.1 * RUNS
