"""When the faults of a plan happen: drawn from the seed, within the fault phase, never over themselves."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.run.plan import Plan
from tests.faults.support import LINK, PLAN

RAW = PLAN.model_dump(mode="json")


@st.composite
def faults(draw: st.DrawFn) -> dict[str, Any]:
    """Return a fault with a start, perhaps a range, and perhaps a duration and repetitions; milliseconds."""
    earliest = draw(st.integers(0, 9_000))
    latest = draw(st.integers(earliest, 9_500))
    fault: dict[str, Any] = {"link": LINK, "latency": "1s", "start": f"{earliest}ms..{latest}ms"}
    if draw(st.booleans()):
        duration = draw(st.integers(1, 5_000))
        fault["duration"] = f"{duration}ms"
        if draw(st.booleans()):
            every = draw(st.integers(duration + 1, duration + 3_000))
            fault["repeat"] = {"every": f"{every}ms", "times": draw(st.integers(1, 9))}
    return fault


def windows(given_faults: list[dict[str, Any]], seed: int) -> list[list[tuple[float, float]]]:
    raw = {**RAW, "seed": seed, "scenario": {**RAW["scenario"], "faults": given_faults}}
    raw["phases"] = {"warmup": "1s", "baseline": "2s", "fault": "10s", "recovery": "1s"}
    plan = Plan.model_validate(raw)
    return [plan.fault_windows_s(number) for number in range(len(given_faults))]


@settings(deadline=None, max_examples=60)
@given(st.lists(faults(), min_size=1, max_size=3), st.integers(0, 2**31))
def test_windows_lie_in_the_fault_phase_in_order_and_the_seed_alone_draws_them(given_faults, seed):
    begin = 3.0  # warmup and baseline
    found = windows(given_faults, seed)
    for fault, repetitions in zip(given_faults, found, strict=True):
        assert 1 <= len(repetitions) <= fault.get("repeat", {"times": 1})["times"]
        assert all(begin <= start < end <= begin + 10.0 for start, end in repetitions)
        assert all(end <= start for (_, end), (start, _) in pairwise(repetitions))
    assert windows(given_faults, seed) == found


def test_another_seed_draws_another_start():
    fault = {"link": LINK, "latency": "1s", "start": "0s..9s"}
    assert len({windows([fault], seed)[0][0] for seed in range(20)}) > 10


def test_two_faults_with_the_same_range_do_not_start_together():
    fault = {"link": LINK, "latency": "1s", "start": "0s..9s"}
    first, second = windows([fault, fault], 7)
    assert first != second
