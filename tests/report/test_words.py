"""Numbers as a person reads them."""

import math

import pytest

from harness.report import words


@pytest.mark.parametrize(
    ("value_ms", "said"),
    [(None, "–"), (math.nan, "–"), (math.inf, "never"), (0.0, "0 ms"), (3.214, "3.21 ms"), (87.44, "87.4 ms"),
     (999.4, "999 ms"), (999.6, "1 s"), (1502.3, "1.5 s"), (99_960.0, "100 s"), (1_234_000.0, "1,234 s")],
)  # fmt: skip
def test_a_latency_has_three_digits_and_its_unit(value_ms, said):
    assert words.milliseconds(value_ms) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0%"), (0.0004, "0.04%"), (0.215, "21.5%"), (0.99996, "99.9%"), (1.0, "100%")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(value, said):
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("length_s", "said"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (200.0, "3 min 20 s")]
)
def test_a_length_of_time_has_the_unit_that_fits(length_s, said):
    assert words.seconds(length_s) == said


def test_control_characters_do_not_survive():
    assert words.one_line("a\x1b[31m\nb\t c\u202e") == "a [31m b c"
