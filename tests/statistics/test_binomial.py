"""Known answers: from tables and from closed forms."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.binomial import Interval, at_least, median_count, poisson_tail, share_interval


@pytest.mark.parametrize(
    ("count", "trials", "share", "expected"),
    [(0, 10, 0.3, 1.0), (1, 10, 0.1, 1 - 0.9**10), (10, 10, 0.5, 0.5**10), (11, 10, 0.5, 0.0), (3, 5, 1.0, 1.0)],
)
def test_tails_of_a_binomial_count(count, trials, share, expected):
    assert at_least(count, trials, share) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "trials", "expected"),
    [
        (0, 10, (0.0, 0.3084971)),
        (1, 10, (0.0025286, 0.4450161)),
        (5, 10, (0.1870860, 0.8129140)),
        (10, 10, (0.6915029, 1.0)),
    ],
)
def test_intervals_are_those_of_clopper_and_pearsons_tables(count, trials, expected):
    interval = share_interval(count, trials)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-6)


def test_without_trials_everything_is_possible():
    assert share_interval(0, 0) == Interval(0.0, 1.0)


def test_the_quick_interval_of_large_samples_agrees_with_the_exact_one():
    exact, quick = share_interval(250, 5000), share_interval(250_000, 5_000_000)
    assert share_interval(251, 5001).low == pytest.approx(exact.low, abs=5e-4)
    assert quick.low < 0.05 < quick.high


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_estimate(counted):
    count, trials = counted
    interval = share_interval(count, trials)
    assert 0 <= interval.low <= count / trials <= interval.high <= 1


@pytest.mark.parametrize(("trials", "share", "expected"), [(13, 0.05, 0), (14, 0.05, 1), (20, 0.05, 1), (80, 0.01, 1)])
def test_the_median_count_is_what_half_of_all_samples_reach(trials, share, expected):
    assert median_count(trials, share) == expected


@pytest.mark.parametrize(
    ("count", "mean", "expected"),
    [(0, 3.0, exp(-3)), (1, 3.0, 4 * exp(-3)), (0, 0.0, 1.0), (2, 0.0, 0.0), (3, 3.0, 1 - exp(-3) * 8.5)],
)
def test_tails_of_a_poisson_count(count, mean, expected):
    assert poisson_tail(count, mean) == pytest.approx(expected)


def test_four_sigma_of_a_large_poisson_count():
    assert poisson_tail(1_000_000 - 4000, 1e6) == pytest.approx(3.2e-5, rel=0.1)
    assert poisson_tail(1_000_000 + 4000, 1e6) == pytest.approx(3.2e-5, rel=0.1)
