"""Pairs of windows: inside the phase, never overlapping, random and repeatable; and what a scenario may ask for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UsageError
from harness.model.files.design import Design, Interleaved
from harness.model.files.loading import load_sound_scenario
from harness.model.files.target import load_target
from harness.model.run.plan import Plan
from harness.model.run.windows import draw_pairs
from harness.runner.library import sample_target
from tests.recordings import small_plan

ANY = st.builds(
    lambda pairs, window_ms: Interleaved.model_validate(
        {"pairs": pairs, "window": f"{window_ms}ms", "settle": f"{window_ms // 4}ms"}
    ),
    st.integers(3, 20),
    st.integers(200, 9000),
)


@given(ANY, st.floats(0, 600), st.floats(1, 3), st.integers(0, 2**31))
def test_windows_lie_in_the_phase_and_never_overlap(design, start_s, longer, seed):
    length_s = design.shortest_s * longer
    pairs = draw_pairs(design, start_s=start_s, length_s=length_s, seed=seed)
    edges = sorted(edge for pair in pairs for edge in (pair.control, pair.fault))
    assert len(pairs) == design.pairs
    assert all(before[1] <= after[0] + 1e-3 for before, after in pairwise(edges))
    assert start_s - 1e-3 <= edges[0][0] < edges[-1][1] <= start_s + length_s + 1e-3
    assert all(end - begin == pytest.approx(design.window) for begin, end in edges)


@given(ANY, st.integers(0, 2**31))
def test_the_same_seed_draws_the_same_pairs_and_half_of_them_begin_with_the_fault(design, seed):
    first, again = (draw_pairs(design, start_s=0, length_s=2 * design.shortest_s, seed=seed) for _ in range(2))
    assert first == again
    faults_first = sum(pair.fault < pair.control for pair in first)
    assert faults_first in (design.pairs // 2, (design.pairs + 1) // 2)


def test_other_seeds_draw_other_orders():
    orders = {
        tuple(p.fault < p.control for p in draw_pairs(Interleaved(), start_s=0, length_s=64, seed=seed))
        for seed in range(40)
    }
    assert len(orders) > 20


def test_every_fault_is_there_in_the_fault_windows_of_the_plan():
    phases = {"warmup": "2s", "baseline": "10s", "fault": "70s", "recovery": "10s"}
    plan = small_plan(scenario={"phases": phases, "design": {"interleaved": {}}})
    assert plan.fault_windows_s(0) == [pair.fault for pair in plan.window_pairs_s()]
    assert len(plan.fault_windows_s(0)) == 8
    assert plan.fault_window_s(0) == (plan.fault_windows_s(0)[0][0], plan.fault_windows_s(0)[-1][1])


def test_a_plan_is_read_back_as_it_was_written():
    plan = small_plan(scenario={"design": {"interleaved": {"pairs": 3, "window": "1s", "settle": "250ms"}}})
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert small_plan().window_pairs_s() == []


def test_the_word_single_is_the_default():
    assert Design.model_validate("single") == Design() == small_plan().scenario.design
    with pytest.raises(ValueError, match="expected 'single'"):
        Design.model_validate("paired")


SCENARIO = """\
claim: When the payment provider is slow nobody else is.
load: {acme: {checkout: 4}, globex: {checkout: 4}}
phases: {warmup: 2s, baseline: 10s, fault: %s, recovery: 10s}
design: {interleaved: %s}
faults:
  - %s
blast_radius: {acme: {checkout: {errors: "<= 50%%"}}}
checks:
  - unharmed: {%s}
"""
SLOW = "{link: payments -> provider-a, latency: 1s}"


@pytest.mark.parametrize(
    ("fault_s", "design", "fault", "check", "problem"),
    [
        ("60s", "{}", SLOW, "", ":4:.*8 pairs of windows of 4s need a fault phase of 64s; it has 60s"),
        ("64s", "{pairs: 2}", SLOW, "", ":4:"),
        ("64s", "{settle: 4s}", SLOW, "", "leaves nothing"),
        ("64s", "{}", SLOW[:-1] + ", start: 2s}", "", ":6:.*start: an interleaved design says when"),
        ("64s", "{}", SLOW[:-1] + ", duration: 2s}", "", ":6:.*duration: an interleaved design says when"),
        ("64s", "{}", "{surge: {tenant: globex, times: 3}}", "", ":6:.*is not repeated"),
        ("64s", "{}", SLOW, "margin: 0.5x", ":9:.*margin"),
        ("64s", "{}", SLOW, "tenants: [nobody]", ":9:.*unknown tenant"),
        ("64s", "{}", SLOW, "flows: [chekout]", ":9:.*did you mean"),
        ("64s", "{}", SLOW, "reference: nobody", ":9:.*unknown tenant"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_position(tmp_path, fault_s, design, fault, check, problem):
    path = tmp_path / "windows.yaml"
    path.write_text(SCENARIO % (fault_s, design, fault, check), encoding="utf-8")
    with pytest.raises(UsageError, match=problem):
        load_sound_scenario(path, load_target(sample_target()))


def test_what_fits_is_loaded(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_text(SCENARIO % ("70s", "{}", SLOW, ""), encoding="utf-8")
    assert load_sound_scenario(path, load_target(sample_target())).design.interleaved == Interleaved()
