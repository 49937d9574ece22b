from target_stack.services.insights.freshness import Freshness

MS = 1_000_000


class StoppedClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_s(self) -> float:
        return self.now_ns / 1e9

    def unix_ns(self) -> int:
        return self.now_ns


def at(now_ms: int) -> tuple[Freshness, StoppedClock]:
    clock = StoppedClock()
    clock.now_ns = now_ms * MS
    return Freshness(clock), clock


def test_nothing_is_claimed_before_the_first_word_of_the_broker():
    freshness, _ = at(100)
    assert (freshness.as_of_ns, freshness.staleness_ms) == (None, None)


def test_answers_are_as_old_as_the_last_event_or_the_last_word_that_there_is_no_more():
    freshness, clock = at(100)
    freshness.delivered(1, 40 * MS, settled=True)
    assert freshness.staleness_ms == 60
    freshness.caught_up(90 * MS)
    assert freshness.staleness_ms == 10
    clock.now_ns = 5_000 * MS  # the broker is silent
    assert freshness.staleness_ms == 4_910


def test_an_event_that_waits_holds_the_age_back_until_it_is_settled():
    freshness, _ = at(100)
    freshness.delivered(1, 40 * MS, settled=False)
    freshness.delivered(2, 80 * MS, settled=True)
    assert freshness.as_of_ns == 40 * MS
    freshness.delivered(1, 40 * MS, settled=True)
    assert freshness.as_of_ns == 80 * MS


def test_age_goes_on_from_where_an_earlier_process_left_it():
    freshness, _ = at(100)
    freshness.start_from(30 * MS)
    assert freshness.staleness_ms == 70
    freshness.delivered(1, 20 * MS, settled=True)  # delivered again: it was applied long ago
    assert freshness.staleness_ms == 70
