"""Each mutant has the flaw that it is named for; the real breaker beside it has not."""

from dataclasses import dataclass

import pytest

from target_stack.kit.breaker import Breaker, BreakerOpenError, BreakerSettings, BreakerState
from target_stack.kit.breaker_mutants import (
    CancelCountingBreaker,
    ConsecutiveBreaker,
    ForgetfulBreaker,
    UngatedBreaker,
)

SETTINGS = BreakerSettings(window_s=10.0, min_calls=5, open_s=2.0)


@dataclass
class FakeClock:
    now_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ns(self) -> int:
        return int(self.now_s * 1e9)


def make(kind):
    clock = FakeClock()
    return kind("a -> b", SETTINGS, clock, lambda event: None), clock


def let_in(breaker, calls):
    permits = []
    for _ in range(calls):
        try:
            permits.append(breaker.acquire())
        except BreakerOpenError:
            break
    return permits


@pytest.mark.parametrize(("kind", "let_through"), [(Breaker, 1), (UngatedBreaker, 50)])
def test_half_open_lets_one_probe_through_and_without_its_gate_everybody(kind, let_through):
    breaker, clock = make(kind)
    for permit in let_in(breaker, 5):
        permit.failed()
    clock.now_s = 3.0
    assert len(let_in(breaker, 50)) == let_through
    assert breaker.state is BreakerState.HALF_OPEN


@pytest.mark.parametrize(("kind", "state"), [(Breaker, BreakerState.OPEN), (ConsecutiveBreaker, BreakerState.CLOSED)])
def test_two_failures_of_three_open_it_unless_only_a_row_of_them_counts(kind, state):
    breaker, _ = make(kind)
    for number in range(30):
        for permit in let_in(breaker, 1):
            permit.failed() if number % 3 else permit.succeeded()
    assert breaker.state is state


def test_a_long_row_of_failures_opens_the_consecutive_breaker_too():
    breaker, _ = make(ConsecutiveBreaker)
    for permit in let_in(breaker, 10):
        permit.failed()
    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize(
    ("kind", "state"), [(Breaker, BreakerState.CLOSED), (CancelCountingBreaker, BreakerState.OPEN)]
)
def test_callers_who_leave_say_nothing_unless_they_are_counted(kind, state):
    breaker, _ = make(kind)
    for permit in let_in(breaker, 10):
        permit.abandoned()
    assert breaker.state is state


@pytest.mark.parametrize(("kind", "state"), [(Breaker, BreakerState.OPEN), (ForgetfulBreaker, BreakerState.CLOSED)])
def test_calls_given_up_after_the_time_of_a_slow_one_open_it_unless_they_are_forgotten(kind, state):
    breaker, clock = make(kind)
    permits = let_in(breaker, 10)
    clock.now_s = SETTINGS.slow_call_s
    for permit in permits:
        permit.abandoned()
    assert breaker.state is state
