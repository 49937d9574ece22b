import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.files.units import Bound, format_duration, format_share, parse_duration_s, parse_share


@pytest.mark.parametrize(
    ("raw", "seconds"), [("250ms", 0.25), ("10s", 10.0), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0), (" 5 s ", 5.0)]
)
def test_durations_are_written_with_their_unit(raw, seconds):
    assert parse_duration_s(raw) == seconds


@pytest.mark.parametrize("raw", ["10", 10, 2.5, "s", "", "ten s", "-1s", "1e3s", "10 sec", None, True, ["1s"]])
def test_anything_else_is_no_duration(raw):
    with pytest.raises(ValueError, match="expected a duration with its unit"):
        parse_duration_s(raw)


@given(st.integers(0, 10**7).map(lambda ms: ms / 1000))
def test_a_duration_survives_being_written(seconds):
    assert parse_duration_s(format_duration(seconds)) == pytest.approx(seconds, rel=1e-5)


@pytest.mark.parametrize(("raw", "share"), [("5%", 0.05), ("0%", 0.0), ("100%", 1.0), ("0.5 %", 0.005)])
def test_shares_are_percentages(raw, share):
    assert parse_share(raw) == pytest.approx(share)
    assert parse_share(format_share(share)) == pytest.approx(share)


@pytest.mark.parametrize("raw", ["101%", "5", 0.05, "-1%", "%", None])
def test_anything_else_is_no_share(raw):
    with pytest.raises(ValueError, match="expected a percentage"):
        parse_share(raw)


@pytest.mark.parametrize(
    ("raw", "bound", "shown"),
    [
        ("< 250ms", Bound("<", 250.0, "ms"), "< 250 ms"),
        ("<= 1.5s", Bound("<=", 1500.0, "ms"), "<= 1500 ms"),
        ("1500ms", Bound("<=", 1500.0, "ms"), "<= 1500 ms"),
        (">= 99%", Bound(">=", 0.99, "%"), ">= 99%"),
        ("100%", Bound("<=", 1.0, "%"), "<= 100%"),
        ("<= 1.2", Bound("<=", 1.2, ""), "<= 1.2"),
        (3, Bound("<=", 3.0, ""), "<= 3"),
    ],
)
def test_a_bound_has_a_direction_and_a_unit(raw, bound, shown):
    assert Bound.parse(raw) == bound
    assert str(bound) == shown
    assert Bound.parse(bound.written()) == bound


@pytest.mark.parametrize("raw", ["", "fast", "== 3", "< ", "< 5 minutes", "<< 3", True, None, [3], "-5ms", "> -1"])
def test_anything_else_is_no_bound(raw):
    with pytest.raises(ValueError, match="expected a bound such as"):
        Bound.parse(raw)


@pytest.mark.parametrize(
    ("raw", "on_the_limit", "below", "above"),
    [
        ("< 5", False, True, False),
        ("<= 5", True, True, False),
        ("> 5", False, False, True),
        (">= 5", True, False, True),
    ],
)
def test_which_side_of_the_limit_holds(raw, on_the_limit, below, above):
    bound = Bound.parse(raw)
    assert [bound.holds(value) for value in (5, 4.9, 5.1)] == [on_the_limit, below, above]
