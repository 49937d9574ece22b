import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.retry import Backoff, RetryBudget, RetryPolicy, RetryRefusalReason


def decide(policy=None, **changes):
    usual = {
        "failed_attempts": 1,
        "idempotent": True,
        "remaining_s": 10.0,
        "retry_after_s": 0.0,
        "rng": random.Random(1),
    }
    return (policy or RetryPolicy()).decide(**{**usual, **changes})


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_delays_are_spread_over_a_doubling_bounded_range(failed_attempts, rng):
    delay_s = Backoff(base_s=0.1, cap_s=2.0).delay_s(failed_attempts, rng)
    assert 0 <= delay_s <= min(2.0, 0.1 * 2**failed_attempts)


def test_jitter_is_full():
    backoff, rng = Backoff(base_s=0.1, cap_s=2.0), random.Random(7)
    delays_s = [backoff.delay_s(1, rng) for _ in range(1000)]
    assert min(delays_s) < 0.01
    assert max(delays_s) > 0.19


@given(st.lists(st.booleans(), max_size=300))
def test_retries_never_exceed_reserve_plus_ratio_of_calls(steps):
    budget, calls, retries = RetryBudget(ratio=0.2, reserve=3), 0, 0
    for is_call in steps:
        if is_call:
            budget.pay_in()
            calls += 1
        else:
            retries += budget.take()
        assert retries <= 3 + 0.2 * calls + 1e-9


def test_a_spent_budget_refuses():
    policy = RetryPolicy(budget=RetryBudget(ratio=0.1, reserve=1))
    assert isinstance(decide(policy), float)
    assert decide(policy) is RetryRefusalReason.BUDGET


def test_without_a_budget_nothing_bounds_the_sum():
    assert all(isinstance(decide(RetryPolicy(budget=None)), float) for _ in range(100))


def test_the_last_attempt_is_the_last():
    assert decide(failed_attempts=3) is None


def test_what_is_not_idempotent_is_not_repeated():
    assert decide(idempotent=False) is RetryRefusalReason.NOT_IDEMPOTENT


def test_a_retry_that_cannot_end_in_time_is_not_begun():
    budget = RetryBudget(reserve=1)
    assert decide(RetryPolicy(budget=budget, min_attempt_s=0.2), remaining_s=0.15) is RetryRefusalReason.DEADLINE
    assert budget.take(), "a refusal for another reason must not cost budget"


@pytest.mark.parametrize(("retry_after_s", "waits"), [(0.4, True), (0.6, False)])
def test_the_callees_wish_is_kept_or_the_retry_dropped(retry_after_s, waits):
    delay_s = decide(RetryPolicy(max_retry_after_s=0.5), retry_after_s=retry_after_s)
    assert (delay_s == 0.4) if waits else (delay_s is None)
