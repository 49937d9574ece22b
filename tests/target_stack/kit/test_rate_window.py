from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.rate_window import RateWindow, Tally

CALLS = st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), max_size=60)


@given(CALLS)
def test_the_window_counts_what_a_list_would(calls):
    window, seen, now_s = RateWindow(10.0, 10), [], 100.0
    for pause_s, failed, slow in calls:
        now_s += pause_s
        window.record(now_s, failed=failed, slow=slow)
        seen.append((int(now_s), failed, slow))
    recent = [each for each in seen if each[0] > int(now_s) - 10]
    expected = Tally(len(recent), sum(each[1] for each in recent), sum(each[2] for each in recent))
    assert window.total(now_s) == expected


def test_a_cleared_window_is_empty():
    window = RateWindow(10.0, 10)
    window.record(1.0, failed=True, slow=True)
    window.clear()
    assert window.total(1.0) == Tally(0, 0, 0)
