"""When a fault was there, from its events."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.observed.presence import Presence, covered_ns, presence_of, when_there
from harness.model.result.finding import Window
from harness.model.run.events import Event, Kind

APPLIED, UNDONE, READ, FAILED = Kind.FAULT_APPLIED, Kind.FAULT_UNDONE, Kind.FAULT_READ_BACK, Kind.FAULT_FAILED
WINDOW = Window("fault-1", 100, 200)
S = 1_000_000_000


def changed(at, last_intact):
    return Event(at, READ, {"intact": False, "last_intact_ns": last_intact, "found": "latency 20 for 10000"})


def back(at):
    return Event(at, READ, {"intact": True})


def test_it_is_there_from_applied_to_undone():
    assert when_there([Event(100, APPLIED), Event(200, UNDONE)], 300) == [(100, 200)]


def test_what_nobody_undid_was_there_to_the_end():
    assert when_there([Event(100, APPLIED)], 300) == [(100, 300)]


def test_what_was_found_changed_was_there_until_it_was_last_seen_intact():
    assert when_there([Event(100, APPLIED), changed(150, 140), Event(200, UNDONE)], 300) == [(100, 140)]


def test_a_change_without_a_sight_before_it_was_never_there():
    assert when_there([Event(100, APPLIED), Event(150, READ, {"intact": False}), Event(200, UNDONE)], 300) == []


def test_a_fault_that_comes_back_is_there_again():
    history = [Event(100, APPLIED), changed(150, 140), back(170), Event(200, UNDONE)]
    assert when_there(history, 300) == [(100, 140), (170, 200)]


def test_a_read_back_after_the_undo_does_not_bring_it_back():
    assert when_there([Event(100, APPLIED), Event(150, UNDONE), back(170)], 300) == [(100, 150)]


def test_an_undo_that_failed_changes_nothing():
    failed = Event(150, FAILED, {"step": "undo"})
    assert when_there([Event(100, APPLIED), failed, Event(200, UNDONE)], 300) == [(100, 200)]


def test_who_lifted_it_is_told_by_the_read_back_or_by_the_undo():
    lifted = Event(150, READ, {"intact": False, "last_intact_ns": 140, "lifted_by": "somebody", "found": "gone"})
    told = presence_of([WINDOW], [Event(100, APPLIED), lifted, Event(200, UNDONE, {"by": "harness"})], until_ns=300)
    assert (told.lifted_by, told.found, told.share) == ("somebody", "gone", 0.4)
    reaped = presence_of([WINDOW], [Event(100, APPLIED), Event(110, UNDONE, {"by": "reaper"})], until_ns=300)
    assert (reaped.lifted_by, reaped.share) == ("reaper", 0.1)


def test_a_start_that_is_a_little_late_is_forgiven_an_end_that_is_early_is_not():
    half_second = Window("fault-1", 0, S // 2)
    late = Presence((half_second,), ((S // 5, S // 2),))
    early = Presence((half_second,), ((0, 3 * S // 10),))
    assert (late.came(0.9), early.came(0.9)) == (1, 0)


def test_a_kill_comes_at_one_moment_and_in_time():
    window = Window("fault-1", 0, 10 * S)
    assert Presence((window,), ((S // 2, S),), (S // 2,)).came(0.9, at_once=True) == 1
    assert Presence((window,), ((95 * S // 10, 10 * S),), (95 * S // 10,)).came(0.9, at_once=True) == 0


def test_each_repetition_is_counted_by_itself():
    windows = tuple(Window("fault-1", n * 10 * S, n * 10 * S + S) for n in range(5))
    first = Presence(windows, ((0, S),), (0,))
    assert [first.came(0.9), first.came(0.9, at_once=True)] == [1, 1]
    whole = Presence(windows, ((0, 41 * S),), (0,))
    assert whole.came(0.9) == 5


HISTORIES = st.lists(
    st.tuples(
        st.integers(0, 60), st.sampled_from(("applied", "undone", "intact", "changed", "apply failed", "undo failed"))
    ),
    max_size=12,
    unique_by=lambda turn: turn[0],
).map(sorted)


def events_of(history):
    """Write a history as events; what is found changed was seen intact two ticks before."""
    kinds = {
        "applied": (APPLIED, {}),
        "undone": (UNDONE, {}),
        "intact": (READ, {"intact": True}),
        "changed": (READ, {"intact": False}),
        "apply failed": (FAILED, {"step": "apply"}),
        "undo failed": (FAILED, {"step": "undo"}),
    }
    for at, what in history:
        kind, fields = kinds[what]
        yield Event(at, kind, {**fields, "last_intact_ns": at - 2} if what == "changed" else fields)


def there_tick_by_tick(history, until):
    """Walk through time, tick by tick; then take back what was found changed."""
    turns = dict(history)
    there, is_there, placed = [False] * until, False, False
    since = 0
    for tick in range(until):
        what = turns.get(tick)
        if what == "applied":
            since, is_there, placed = (since if is_there else tick), True, True
        elif what in ("undone", "apply failed"):
            is_there = placed = False
        elif what == "intact" and placed and not is_there:
            since, is_there = tick, True
        elif what == "changed" and is_there:
            for gone in range(max(since, tick - 2), tick):
                there[gone] = False
            is_there = False
        there[tick] = is_there
    return there


@given(HISTORIES, st.integers(0, 60), st.integers(1, 30))
def test_the_share_of_any_history_is_that_of_counting_ticks(history, begin, length):
    until = 100
    spans = when_there(events_of(history), until)
    expected = sum(there_tick_by_tick(history, until)[begin : begin + length])
    assert covered_ns(Window("w", begin, begin + length), spans) == expected
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
