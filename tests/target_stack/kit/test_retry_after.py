import pytest

from target_stack.kit.retry_after import pause_asked_s

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
TEN_SECONDS_LATER = "Wed, 21 Oct 2026 07:28:10 GMT"
AT_S = 1792567680.0  # DATE


@pytest.mark.parametrize(
    ("raw", "pause_s"),
    [
        ("3", 3.0),
        (" 3 ", 3.0),
        ("0", 0.0),
        ("0.25", 0.25),
        ("1.5", 1.5),
        (TEN_SECONDS_LATER, 10.0),
        (DATE, 0.0),
        ("Wednesday, 21-Oct-26 07:28:10 GMT", 10.0),  # the obsolete form of RFC 850
        ("Wed Oct 21 07:28:10 2026", 10.0),  # and that of asctime
        ("Tue, 20 Oct 2026 07:28:00 GMT", 0.0),  # over already
        *((nonsense, 0.0) for nonsense in ("", "-1", "soon", "1e3", "nan", "inf", "٣", "Wed, 21 Oct", "9" * 400, ".")),
    ],
)
def test_seconds_fractions_and_dates_are_read_and_nonsense_asks_for_nothing(raw, pause_s):
    assert pause_asked_s({"Retry-After": raw}, AT_S) == pause_s


def test_a_date_counts_from_the_date_of_the_answer_so_that_clocks_may_disagree():
    headers = {"Retry-After": TEN_SECONDS_LATER, "Date": DATE}
    assert pause_asked_s(headers, AT_S - 3600) == 10.0


def test_without_the_header_no_pause_is_asked_for():
    assert pause_asked_s({}, AT_S) == 0.0
