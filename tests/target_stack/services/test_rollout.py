"""A rollout grows step by step, and goes back on its budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.services.release.domain import STEPS, Budget, Phase, Rollout, Tally, parse_tally

FINE = Tally(requests=20, latencies_ms=(5.0,) * 20)
BAD = {
    "errors": Tally(requests=20, failures=5, latencies_ms=(5.0,) * 20),
    "latency": Tally(requests=20, latencies_ms=(300.0,) * 20),
    "content": Tally(requests=20, compared=10, mismatched=2, latencies_ms=(5.0,) * 20),
}


def ramping() -> Rollout:
    return Rollout().start(0.0)


def test_a_sound_version_gets_every_share_in_turn():
    rollout, seen = ramping(), []
    for second in range(1, 20):
        seen.append(rollout.percent)
        rollout = rollout.observe(FINE, FINE).tick(second * 3.0)
    assert list(dict.fromkeys(seen)) == list(STEPS)
    assert (rollout.phase, rollout.percent) == (Phase.COMPLETED, 100)


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_version_is_taken_back(reason):
    rollout = ramping().observe(BAD[reason], FINE)
    assert (rollout.phase, rollout.percent, rollout.reason) == (Phase.ROLLED_BACK, 0, reason)


@pytest.mark.parametrize("reason", ["errors", "latency"])
def test_what_the_old_version_does_too_is_not_the_new_ones_fault(reason):
    assert ramping().observe(BAD[reason], BAD[reason]).phase is Phase.RAMPING


@pytest.mark.parametrize("reason", BAD)
def test_without_the_protection_it_ramps_on(reason):
    rollout = Rollout(rolls_back=False).start(0.0).observe(BAD[reason], FINE).tick(10.0)
    assert (rollout.phase, rollout.percent) == (Phase.RAMPING, STEPS[1])


def test_a_share_that_hardly_anybody_used_is_not_enough():
    few = Tally(requests=3, latencies_ms=(5.0,) * 3)
    assert ramping().observe(few, FINE).tick(1000.0).percent == STEPS[0]


def test_enough_requests_do_not_shorten_the_time():
    assert ramping().observe(FINE, FINE).tick(2.9).percent == STEPS[0]


TALLIES = st.builds(
    lambda requests, failed, compared, odd, ms: Tally(
        requests, min(failed, requests), compared, min(odd, compared), (ms,) * min(requests, 10)
    ),
    st.integers(0, 50),
    st.integers(0, 10),
    st.integers(0, 10),
    st.integers(0, 2),
    st.floats(0.1, 1000),
)
STORIES = st.lists(st.tuples(st.floats(0, 5), TALLIES, TALLIES), max_size=40)


@given(STORIES)
def test_the_share_never_shrinks_but_to_nothing_and_never_comes_back(story):
    rollout, now_s, before = ramping(), 0.0, 0
    for pause_s, canary, stable in story:
        now_s += pause_s
        rollout = rollout.observe(canary, stable).tick(now_s)
        assert rollout.percent in (0, *STEPS)
        assert rollout.percent == 0 or (rollout.percent >= before and before != -1)
        assert rollout.phase is not Phase.ROLLED_BACK or rollout.percent == 0
        before = rollout.percent or -1


@given(STORIES)
def test_no_step_is_taken_on_a_spent_budget(story):
    rollout, now_s = ramping(), 0.0
    for pause_s, canary, stable in story:
        now_s += pause_s
        observed = rollout.observe(canary, stable)
        if observed.phase is Phase.RAMPING:
            assert Budget().broken_by(observed.canary, observed.stable) == ""
        rollout = observed.tick(now_s)


def test_after_a_stop_it_begins_again_at_the_smallest_share():
    rollout = ramping().observe(FINE, FINE).tick(3.0).stop()
    assert (rollout.phase, rollout.percent) == (Phase.IDLE, 0)
    again = rollout.start(9.0)
    assert (again.phase, again.percent, again.canary) == (Phase.RAMPING, STEPS[0], Tally())


@pytest.mark.parametrize(
    "raw", [None, [], {}, {"requests": -1, "failures": 0, "compared": 0, "mismatched": 0, "latencies_ms": []}]
)
def test_a_report_that_makes_no_sense_is_refused(raw):
    with pytest.raises(ValueError, match=r"tally|whole numbers"):
        parse_tally(raw)
