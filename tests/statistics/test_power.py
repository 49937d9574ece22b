"""What a sample excludes, against the binomial itself and by simulation with known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.power import Run, is_no_chance, largest_unseen, longest_run, rows_to_notice, would_notice


@pytest.mark.parametrize(
    ("bad", "harm", "rows"), [(0, 0.05, 59), (1, 0.05, 93), (2, 0.05, 124), (0, 0.1, 29), (0, 0.5, 5)]
)
def test_how_many_rows_exclude_a_harm(bad, harm, rows):
    assert rows_to_notice(bad, harm) == rows
    assert would_notice(bad, rows, harm)
    assert not would_notice(bad, rows - 1, harm)


@given(st.integers(1, 300), st.integers(0, 300), st.floats(0.01, 0.99))
def test_noticing_and_the_largest_unseen_share_are_one_thing(rows, bad, harm):
    bad = min(bad, rows)
    edge = largest_unseen(bad, rows)
    if abs(edge - harm) > 1e-6:
        assert would_notice(bad, rows, harm) == (edge < harm)


@pytest.mark.parametrize(
    ("rows", "true_share"), [(20, 0.05), (5, 0.10), (40, 0.05), (60, 0.05), (120, 0.05), (300, 0.06)]
)
def test_harm_at_the_leak_level_passes_in_at_most_one_run_of_twenty(rows, true_share):
    random = np.random.default_rng(1)
    bad = random.binomial(rows, true_share, 2000)
    assert np.mean([would_notice(int(b), rows, 0.05) for b in bad]) <= 0.055


@given(st.lists(st.booleans(), max_size=40))
def test_the_longest_run_is_that_of_a_slow_obvious_search(bad):
    runs = [(j - i, -i) for i in range(len(bad)) for j in range(i + 1, len(bad) + 1) if all(bad[i:j])]
    expected = max(runs, default=None)
    run = longest_run(np.array(bad, dtype=bool))
    assert run == (None if expected is None else Run(-expected[1], -expected[1] + expected[0] - 1))


def test_single_failures_at_the_limit_hardly_ever_look_like_an_outage():
    random = np.random.default_rng(2)
    histories = random.random((4000, 240)) < 0.01
    called = [(run := longest_run(h)) is not None and is_no_chance(run, 240, 0.01) for h in histories]
    assert np.mean(called) < 1e-3
