import numpy as np
import pytest

from harness.statistics.binomial import Interval
from harness.statistics.blocks import LatenciesInBlocks, ShareInBlocks, bootstrap_share, ratio_interval


def shares(bad, of):
    return ShareInBlocks(np.array(bad), np.array(of))


def latencies(per_block):
    values = np.concatenate(per_block)
    block = np.repeat(np.arange(len(per_block)), [len(part) for part in per_block])
    return LatenciesInBlocks.count(values, block, len(per_block))


def test_rows_are_counted_by_block():
    counted = ShareInBlocks.count(np.array([True, False, True]), np.array([0, 0, 2]), 3)
    assert (counted.bad.tolist(), counted.of.tolist(), counted.share) == ([1, 0, 1], [2, 0, 1], pytest.approx(2 / 3))


def test_the_same_seed_gives_the_same_interval():
    counted = shares([1, 0, 3, 0, 2, 0, 0, 1], [4] * 8)
    assert bootstrap_share(counted, seed=3) == bootstrap_share(counted, seed=3)


def test_without_rows_everything_is_possible():
    assert bootstrap_share(shares([0, 0], [0, 0]), seed=1) == Interval(0.0, 1.0)


def test_one_bad_second_may_be_chance_but_scattered_ones_are_not():
    burst = bootstrap_share(shares([4, *[0] * 19], [4] * 20), seed=1)
    scattered = bootstrap_share(shares([1] * 4 + [0] * 16, [1] * 20), seed=1)
    assert burst.low == 0.0
    assert scattered.low > 0.0


def test_bursts_make_the_interval_wider_than_independence_would():
    scattered = bootstrap_share(shares([1] * 20, [4] * 20), seed=1)
    bursts = bootstrap_share(shares([4] * 5 + [0] * 15, [4] * 20), seed=1)
    assert bursts.high - bursts.low > 0.3 > scattered.high - scattered.low


@pytest.mark.parametrize("burst", [1, 6], ids=["independent", "six in a row"])
def test_the_interval_holds_the_truth_as_often_as_it_says(burst):
    """95 % nominal; with 40 blocks the percentile bootstrap is known to fall a few points short."""
    random, truth, held = np.random.default_rng(11), 0.3, 0
    for seed in range(300):
        bad = random.random((40, 6 // burst)) < truth
        interval = bootstrap_share(shares(bad.sum(axis=1) * burst, [6] * 40), seed=seed)
        held += interval.low <= truth <= interval.high
    assert held >= 270


def test_a_ratio_of_quantiles_finds_the_harm_that_was_done():
    random = np.random.default_rng(5)
    before = latencies([random.lognormal(4, 0.3, 8) for _ in range(20)])
    after = latencies([2 * random.lognormal(4, 0.3, 8) for _ in range(20)])
    interval = ratio_interval(before, after, 0.95, seed=1)
    assert 1.3 < interval.low < 2 < interval.high < 3


def test_a_ratio_needs_rows_on_both_sides():
    some, none = latencies([np.array([5.0])]), latencies([np.array([])])
    assert ratio_interval(some, none, 0.95, seed=1) is None
    assert ratio_interval(none, some, 0.95, seed=1) is None


def test_what_never_came_is_slower_than_everything():
    never = latencies([np.array([np.inf] * 5)] * 4)
    quick = latencies([np.array([10.0] * 5)] * 4)
    assert ratio_interval(quick, never, 0.95, seed=1).low > 1000


def test_without_a_change_a_clear_one_is_hardly_ever_seen():
    random, alarms = np.random.default_rng(17), 0
    for seed in range(100):
        before, after = (latencies([random.lognormal(4, 0.3, 6) for _ in range(20)]) for _ in range(2))
        alarms += ratio_interval(before, after, 0.95, seed=seed).low > 1.5
    assert alarms == 0
