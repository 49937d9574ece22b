import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.blocks import ShareInBlocks
from harness.statistics.shares import Answer, decide, smallest_sample

WITHIN, BEYOND, OPEN = Answer.WITHIN, Answer.BEYOND, Answer.OPEN


def counted(bad, of, blocks=20):
    """Spread *bad* of *of* over the blocks as evenly as possible."""
    return ShareInBlocks(*(np.bincount(np.arange(n) % blocks, minlength=blocks) for n in (bad, of)))


def answer(bad, of, allowed, *, minimum=20, seed=1):
    inside = of > 0 and bad / of <= allowed
    return decide(counted(bad, of), allowed, inside=inside, minimum=minimum, seed=seed).answer


@pytest.mark.parametrize(
    ("bad", "of", "expected"),
    [
        (0, 0, OPEN),
        (0, 4, OPEN),  # half of them could be bad all the same
        (0, 5, WITHIN),
        (1, 5, OPEN),
        (5, 5, BEYOND),
        (1, 13, OPEN),
        (1, 14, WITHIN),  # a system exactly at 5 % shows one in half of all samples of 14
        (1, 20, WITHIN),
        (2, 20, OPEN),
        (8, 20, BEYOND),
        (50, 1000, WITHIN),
        (51, 1000, OPEN),
        (90, 1000, BEYOND),
    ],
)
def test_five_percent_allowed(bad, of, expected):
    assert answer(bad, of, 0.05) is expected


def test_what_allows_everything_needs_one_row():
    assert answer(1, 1, 1.0) is WITHIN
    assert answer(0, 0, 1.0) is OPEN


def test_what_allows_nothing_is_broken_by_one():
    assert answer(1, 1000, 0.0) is BEYOND
    assert answer(0, 1000, 0.0) is WITHIN


def test_an_open_answer_says_how_many_would_do():
    needed = decide(counted(2, 25), 0.05, inside=False, minimum=20, seed=1).would_do
    assert needed > 100
    decided = decide(counted(2 * needed // 25, needed), 0.05, inside=False, minimum=20, seed=1)
    assert decided.answer is BEYOND
    assert decide(counted(0, 3), 0.05, inside=True, minimum=20, seed=1).would_do == 20


@pytest.mark.parametrize(("allowed", "rows"), [(0.05, 20), (0.01, 100), (0.5, 2), (0.0, 5)])
def test_the_smallest_sample_in_which_one_bad_row_is_what_is_allowed(allowed, rows):
    assert smallest_sample(allowed) == rows


def rates(share, *, runs=300, blocks=20, rate=4, burst=False, allowed=0.05):
    """Share of runs that end with each answer, at a true share; with *burst* whole seconds are bad together."""
    random, answers = np.random.default_rng(23), []
    for seed in range(runs):
        of = random.poisson(rate, blocks)
        bad = np.where(random.random(blocks) < share, of, 0) if burst else random.binomial(of, share)
        inside = bad.sum() <= allowed * of.sum()
        answers.append(decide(ShareInBlocks(bad, of), allowed, inside=inside, minimum=20, seed=seed % 8).answer)
    return {kind: answers.count(kind) / runs for kind in Answer}


@pytest.mark.parametrize("burst", [False, True], ids=["independent", "whole seconds"])
def test_a_system_exactly_at_its_limit_is_called_broken_in_at_most_one_of_twenty_runs(burst):
    assert rates(0.05, burst=burst)[BEYOND] <= 0.05


def test_a_system_well_within_its_limit_is_never_called_broken_and_hardly_ever_left_open():
    found = rates(0.005)
    assert found[BEYOND] == 0
    assert found[WITHIN] >= 0.97


@pytest.mark.parametrize(("share", "at_least"), [(0.2, 0.9), (0.5, 0.99)])
def test_harm_is_found(share, at_least):
    found = rates(share)
    assert found[BEYOND] >= at_least
    assert found[WITHIN] == 0


@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.001, 0.999))
def test_more_bad_rows_never_look_better(sample, allowed):
    bad, of = sample
    order = [WITHIN, OPEN, BEYOND]
    better = order.index(answer(max(0, bad - 1), of, allowed))
    assert better <= order.index(answer(bad, of, allowed))
