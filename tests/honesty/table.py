"""Every situation judged, and the table of what was expected and what came out."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.honesty import (
    bad_bounds,
    bad_endings,
    bad_fault,
    bad_health,
    bad_integrity,
    bad_mechanisms,
    bad_metrics,
    bad_power,
    bad_recording,
    good,
)
from tests.honesty.rows import Row, as_expected, false_green, false_red

_FILES = (
    bad_fault,
    bad_recording,
    bad_bounds,
    bad_metrics,
    bad_mechanisms,
    bad_integrity,
    bad_health,
    bad_power,
    bad_endings,
    good,
)
ROWS: Sequence[Row] = tuple(row for file in _FILES for row in file.ROWS)
HEAD = """# Honesty: situations and what the judge makes of them

Made by `python -m tests.honesty > docs/honesty.md`. Each row is a recording written by hand; the kind names the mistake
that it invites. A false green is a bad situation that passed; a false red is a good one that failed.
"""
KINDS = {
    "A.1": "the fault's amount", "A.2": "the recording is not whole", "A.3": "bounds", "A.4": "metrics",
    "A.5": "mechanisms", "A.6": "integrity and content", "A.7": "health of the run", "A.8": "power and bursts",
    "A.9": "endings", "good": "good",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """A row, and what came out."""

    row: Row
    got: str

    @property
    def mark(self) -> str:
        """What to look at in this line; empty where all is as expected."""
        if false_green(self.row, self.got):
            return "FALSE GREEN"
        if false_red(self.row, self.got):
            return "FALSE RED"
        return "" if as_expected(self.row, self.got) else "otherwise"

    def __str__(self) -> str:
        cells = (KINDS[self.row.kind], self.row.name, self.row.expected, self.got, self.mark)
        return f"| {' | '.join(cells)} |"


def judge_all() -> list[Judged]:
    """Write and judge every situation."""
    with tempfile.TemporaryDirectory() as folder:
        return [Judged(row, row.judged(Path(folder) / str(number))) for number, row in enumerate(ROWS)]


def markdown(judged: Sequence[Judged]) -> str:
    """Return the page."""
    lines = ["| kind | situation | expected | got | |", "|---|---|---|---|---|", *map(str, judged)]
    return "\n".join([HEAD, counts(judged), "", *lines]) + "\n"


def counts(judged: Sequence[Judged]) -> str:
    """Return the sentence that counts."""
    bad = sum(j.row.is_bad for j in judged)
    green, red = (sum(j.mark == mark for j in judged) for mark in ("FALSE GREEN", "FALSE RED"))
    undecided = sum(not j.row.is_bad and j.got.startswith("unknown") for j in judged)
    return (
        f"{bad} bad situations: **{green} false green**. {len(judged) - bad} good situations: "
        f"**{red} false red**, {undecided} undecided."
    )
