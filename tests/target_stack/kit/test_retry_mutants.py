"""Each flawed policy has the flaw that it is named for; the sound one beside it has not."""

import random

import pytest

from target_stack.kit.protections import Protection
from target_stack.kit.retry import RetryBudget, RetryPolicy, RetryRefusalReason
from target_stack.kit.retry_mutants import MUTANTS


def policy(off=None) -> RetryPolicy:
    budgets = {tenant: RetryBudget(ratio=0.0, reserve=2.0) for tenant in ("acme", "globex")}
    sound = RetryPolicy(budget=RetryBudget(ratio=0.0, reserve=2.0), budget_of=budgets)
    return MUTANTS[off](sound) if off is not None else sound


def decide(policy, tenant="acme", failed_attempts=1, rng=None):
    return policy.decide(
        failed_attempts=failed_attempts,
        idempotent=True,
        remaining_s=60.0,
        retry_after_s=0.0,
        rng=rng or random.Random(1),
        tenant=tenant,
    )


@pytest.mark.parametrize(
    ("off", "left_to_the_neighbour"),
    [(None, True), (Protection.RETRY_SHARE, False), (Protection.RETRY_BUDGET, True)],
)
def test_a_neighbour_cannot_spend_a_tenants_budget_unless_they_share_it(off, left_to_the_neighbour):
    judged = policy(off)
    for _ in range(10):
        decide(judged, "globex")
    assert isinstance(decide(judged, "acme"), float) is left_to_the_neighbour


@pytest.mark.parametrize(("off", "tries"), [(None, 2), (Protection.RETRY, 0), (Protection.RETRY_BOUND, 500)])
def test_attempts_are_counted_unless_nobody_counts(off, tries):
    judged = policy(off)
    granted = 0
    for failed_attempts in range(1, 501):
        granted += isinstance(decide(judged, failed_attempts=failed_attempts), float)
    assert granted == tries


def test_without_a_budget_the_sum_of_retries_is_not_bounded():
    judged = policy(Protection.RETRY_BUDGET)
    assert all(isinstance(decide(judged), float) for _ in range(100))
    assert [decide(policy()) is RetryRefusalReason.BUDGET for _ in range(3)] == [False] * 3  # each time a fresh one


@pytest.mark.parametrize(("off", "different"), [(None, 2), (Protection.RETRY_JITTER, 1)])
def test_pauses_are_drawn_unless_they_are_fixed(off, different):
    judged, rng = policy(off), random.Random(7)
    assert len({decide(judged, tenant, rng=rng) for tenant in ("acme", "globex")}) == different
