"""Intervals from pairs of windows against simulation with known truth."""

import numpy as np
import pytest

from harness.statistics.pairs import (
    Contained,
    detectable,
    effects_of,
    less_reference,
    pairs_needed,
    reference_weight,
    student_quantile,
)

MARGIN = float(np.log(1.2))


def noise(seed, pairs, series, sd=0.15):
    return list(np.random.default_rng(seed).normal(0, sd, (series, pairs)))


@pytest.mark.parametrize(
    ("probability", "freedom", "known"),
    [(0.975, 7, 2.3646), (0.975, 2, 4.3027), (0.95, 29, 1.6991), (0.975, 1, 12.7062), (0.975, 10_000, 1.96)],
)
def test_students_quantiles_are_those_of_the_tables(probability, freedom, known):
    assert student_quantile(probability, freedom) == pytest.approx(known, abs=2e-4)


@pytest.mark.parametrize("series", [1, 6])
def test_no_effect_is_called_a_leak_in_at_most_one_run_of_twenty(series):
    runs = [effects_of(noise(seed, 8, series)) for seed in range(1000)]
    false = sum(any(effect.interval.low > 0 or effect.interval.high < 0 for effect in found) for found in runs)
    assert false / len(runs) <= 0.065  # 5 % and the scatter of 1000 runs


def test_an_effect_of_half_as_much_again_is_found_in_nineteen_runs_of_twenty():
    shift = np.log(1.5)
    found = [effects_of([series + shift for series in noise(seed, 8, 4)])[0] for seed in range(300)]
    assert sum(effect.against(MARGIN) is Contained.LEAKED or effect.interval.low > 0 for effect in found) >= 285


def test_what_is_well_inside_the_margin_is_contained_and_what_is_on_it_stays_open():
    calm = [effects_of(noise(seed, 12, 3, sd=0.05))[0].against(MARGIN) for seed in range(100)]
    assert calm.count(Contained.CONTAINED) >= 99
    edge = [effects_of([noise(seed, 8, 1)[0] + MARGIN])[0].against(MARGIN) for seed in range(200)]
    assert edge.count(Contained.OPEN) >= 180


def test_a_reference_takes_away_what_all_share():
    shared = np.random.default_rng(1).normal(0, 0.4, 40)
    own = shared + np.random.default_rng(2).normal(0, 0.05, 40)
    weight = reference_weight(own, shared)
    assert weight == pytest.approx(1, abs=0.05)
    assert less_reference(own, shared, weight).std() < own.std() / 4


@pytest.mark.parametrize(("weight", "used"), [(-3.0, 0.0), (7.0, 1.0)])
def test_a_weight_is_clipped(weight, used):
    effects, reference = np.array([0.5, 0.7]), np.array([0.2, 0.1])
    assert less_reference(effects, reference, weight).tolist() == (effects - used * reference).tolist()


def test_too_few_pairs_decide_nothing():
    (effect,) = effects_of([np.array([0.1, 0.2])])
    assert (effect.pairs, effect.against(MARGIN)) == (2, Contained.OPEN)
    assert effects_of([]) == []
    assert detectable(2, 0.1) == float("inf")


def test_pairs_without_scatter_have_an_interval_without_width():
    (effect,) = effects_of([np.zeros(8)])
    assert (effect.interval.low, effect.interval.high) == (0, 0)


def test_more_pairs_see_less():
    assert detectable(8, 0.15) > detectable(16, 0.15) > detectable(64, 0.15)
    assert pairs_needed(detectable(16, 0.15), 0.15) == 16
    (effect,) = effects_of([noise(3, 8, 1)[0] + MARGIN + 0.05])
    assert effect.pairs_to_decide(MARGIN) > 8
