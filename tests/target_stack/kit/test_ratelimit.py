import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.ratelimit import Rate, RateLimiter, TokenBucket, parse_rates

RATE = Rate(per_s=10, burst=5)


def test_a_burst_is_let_through_and_then_the_rate(clock):
    bucket = TokenBucket(RATE, clock)
    assert [bucket.take() for _ in range(5)] == [0.0] * 5
    assert bucket.take() == pytest.approx(0.1)
    clock.advance(0.1)
    assert bucket.take() == 0.0


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_burst_plus_rate_times_time(make_clock, pauses_s):
    clock = make_clock()
    bucket, taken = TokenBucket(RATE, clock), 0
    for pause_s in pauses_s:
        clock.advance(pause_s)
        taken += bucket.take() == 0.0
    assert taken <= 5 + 10 * sum(pauses_s) + 1e-6


def test_tenants_do_not_share(clock):
    limiter = RateLimiter(clock)
    while limiter.take("greedy", RATE) == 0.0:
        pass
    assert limiter.take("modest", RATE) == 0.0


def test_the_least_recently_used_key_is_forgotten(clock):
    limiter = RateLimiter(clock, max_keys=2)
    for key in ("a", "b", "a", "c"):
        limiter.take(key, Rate(per_s=1, burst=2))
    assert limiter.take("a", RATE) > 0.0
    assert limiter.take("b", Rate(per_s=1, burst=1)) == 0.0


def test_plans_are_parsed():
    assert parse_rates("gold=60:90, silver=4.5:5") == {"gold": Rate(60, 90), "silver": Rate(4.5, 5)}


@pytest.mark.parametrize("raw", ["", "gold", "gold=60", "gold=:", "=1:1", "gold=a:b", "gold=1:1,"])
def test_malformed_plans_are_refused(raw):
    with pytest.raises(ValueError, match=r".+"):
        parse_rates(raw)
