import pytest

from target_stack.kit.deadline import ANSWER_MARGIN_S, Deadline, DeadlineExceededError, parse_remaining_ms


def test_what_remains_shrinks_and_is_never_negative(clock):
    deadline = Deadline.after(1.5, clock)
    clock.advance(1.0)
    assert (deadline.remaining_ms(), deadline.passed()) == (500, False)
    clock.advance(1.0)
    assert (deadline.remaining_ms(), deadline.passed()) == (0, True)


def test_timeouts_are_cut_to_what_remains_less_the_margin(clock):
    deadline = Deadline.after(1.0, clock)
    assert deadline.bound(0.3) == 0.3
    assert deadline.bound(5.0) == pytest.approx(1.0 - ANSWER_MARGIN_S)


def test_work_that_cannot_end_in_time_is_not_begun(clock):
    deadline = Deadline.after(ANSWER_MARGIN_S, clock)
    with pytest.raises(DeadlineExceededError):
        deadline.bound(5.0)


def test_without_a_limit_nothing_is_told_and_nothing_cut(clock):
    deadline = Deadline.unlimited(clock)
    assert (deadline.remaining_ms(), deadline.passed(), deadline.bound(15.0)) == (None, False, 15.0)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [("1500", 1.5), ("0", 0.0), (None, None), ("", None), ("-5", None), ("1e3", None), ("9" * 30, None), ("²", None)],
)
def test_a_bad_hint_is_no_hint(raw, seconds):
    assert parse_remaining_ms(raw) == seconds
