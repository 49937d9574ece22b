"""No false green at all; at most one false red in twenty; the page shows what comes out."""

from collections import Counter
from pathlib import Path

import pytest

from tests.honesty.rows import as_expected, false_green, false_red
from tests.honesty.table import ROWS, Judged, judge_all, markdown

PAGE = Path(__file__).parents[2] / "docs" / "honesty.md"


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return judge_all()


def test_there_are_enough_situations_and_each_has_a_name_of_its_own():
    assert sum(row.is_bad for row in ROWS) >= 120
    assert sum(not row.is_bad for row in ROWS) >= 40
    assert [name for name, count in Counter((row.kind, row.name) for row in ROWS).items() if count > 1] == []


def test_nothing_bad_passes(judged):
    assert [str(j) for j in judged if false_green(j.row, j.got)] == []


def test_at_most_one_good_run_in_twenty_fails(judged):
    good = [j for j in judged if not j.row.is_bad]
    assert len([j for j in good if false_red(j.row, j.got)]) <= len(good) / 20


def test_every_good_run_passes_but_for_few(judged):
    good = [j for j in judged if not j.row.is_bad]
    assert len([j for j in good if not as_expected(j.row, j.got)]) <= len(good) / 20


def test_the_page_shows_this_table(judged):
    assert PAGE.read_text(encoding="utf-8") == markdown(judged), "run `python -m tests.honesty > docs/honesty.md`"
