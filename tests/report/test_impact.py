"""What the heat map colours, and what it marks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.heatmap import level_of
from harness.report.impact import Impact, exceeds


def impact(ratios: list[float], clear: list[bool] | None = None) -> Impact:
    size = len(ratios)
    unclear = np.zeros(size, bool) if clear is None else np.array(clear)
    return Impact(np.array(ratios), np.full(size, "p95", object), np.full(size, 20), unclear)


def test_one_bucket_above_the_limit_may_be_chance():
    assert not impact([0.5, 3.0, 0.5, 2.0, 2.0]).marked.any()


def test_three_in_a_row_are_not_chance():
    assert impact([2.0, 0.5, 2.0, 2.0, 2.0, 0.9]).marked.tolist() == [False, False, True, True, True, False]


def test_one_bucket_is_enough_if_its_own_samples_exclude_the_limit():
    assert impact([0.5, 9.0, 0.5], [False, True, False]).marked.tolist() == [False, True, False]


def test_a_bucket_without_requests_is_never_marked():
    assert not impact([np.nan, np.nan, np.nan, np.nan]).marked.any()


@pytest.mark.parametrize(
    ("bad", "size", "allowed", "excluded"),
    [
        (0, 50, 0.01, False),
        (1, 8, 0.005, False),
        (2, 8, 0.005, True),
        (8, 8, 0.05, True),
        (1, 1, 0.0, True),
        (0, 0, 0.05, False),
    ],
)
def test_samples_exclude_the_limit_only_if_chance_is_below_one_percent(bad, size, allowed, excluded):
    assert exceeds(np.array([bad]), np.array([size]), allowed).tolist() == [excluded]


@given(st.integers(1, 300), st.floats(0.001, 0.5))
def test_more_bad_requests_never_look_better(size, allowed):
    bad = np.arange(size + 1)
    excluded = exceeds(bad, np.full(size + 1, size), allowed)
    assert (np.diff(excluded.astype(int)) >= 0).all()
    assert not excluded[bad / size <= allowed].any()


def test_chance_marks_one_bucket_in_a_hundred_at_most():
    rng = np.random.default_rng(7)
    bad = rng.binomial(24, 0.05, size=100_000)
    assert exceeds(bad, np.full(100_000, 24), 0.05).mean() <= 0.01


def test_the_limit_itself_is_inside():
    assert [level_of(ratio) for ratio in (0.0, 0.5, 0.51, 1.0, 1.01, 2.0, 5.0, 5.1)] == [0, 0, 1, 1, 2, 2, 3, 4]
