"""Scenario by protection: which check failed without it, by how much, and the score that follows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.model.errors import ExitCode
from harness.workflows.prove.cases import Case, Suite
from harness.workflows.prove.outcome import Meaning, Outcome

_EXIT_CODES = {
    Meaning.BROKEN: ExitCode.BROKEN,
    Meaning.UNPROVEN: ExitCode.BROKEN,
    Meaning.ELSEWHERE: ExitCode.BROKEN,
    Meaning.UNDECIDED: ExitCode.UNKNOWN,
}
NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Row:
    """One case with what it showed."""

    case: Case
    meaning: Meaning | None  # None: not run yet
    told: str
    seconds: float = 0.0

    @property
    def word(self) -> str:
        """What it showed, in a word."""
        return self.meaning.value if self.meaning else NOT_RUN


@dataclass(frozen=True, slots=True)
class Score:
    """How many of what is declared was proven, and what was not."""

    proven: tuple[str, ...]
    declared: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What is declared and not proven."""
        return tuple(name for name in self.declared if name not in self.proven)

    def __str__(self) -> str:
        return f"{len(self.proven)} of {len(self.declared)}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole proof."""

    rows: tuple[Row, ...]
    protections: Score
    mutants: Score
    unnamed: tuple[str, ...]  # declared, and no scenario proves them
    idle_checks: tuple[str, ...]  # "scenario: check" that no removal ever failed

    @property
    def exit_code(self) -> ExitCode:
        """0 all proven and every intact claim held; 1 one was not; 2 one is undecided or not run."""
        codes = {_EXIT_CODES.get(row.meaning, ExitCode.HELD) if row.meaning else ExitCode.UNKNOWN for row in self.rows}
        return next((code for code in (ExitCode.BROKEN, ExitCode.UNKNOWN) if code in codes), ExitCode.HELD)


def matrix_of(suite: Suite, outcomes: Mapping[str, Outcome]) -> Matrix:
    """Fold outcomes; a removal proves nothing while the intact claim of its scenario does not hold."""
    rows = tuple(_row(case, outcomes) for case in suite.cases)
    proven = {name for row in rows if row.meaning is Meaning.PROVEN for name in row.case.without}
    return Matrix(
        rows=rows,
        protections=_score(suite.protections, proven),
        mutants=_score(suite.mutants, proven),
        unnamed=tuple(suite.unnamed((*suite.protections, *suite.mutants))),
        idle_checks=tuple(_idle_checks(suite, outcomes)),
    )


def _score(declared: tuple[str, ...], proven: set[str]) -> Score:
    return Score(tuple(name for name in declared if name in proven), declared)


def _row(case: Case, outcomes: Mapping[str, Outcome]) -> Row:
    outcome = outcomes.get(case.id)
    if outcome is None:
        return Row(case, None, "")
    meaning = outcome.meaning_for(case)
    intact = outcomes.get(Case(case.scenario, case.path).id)
    if meaning is Meaning.PROVEN and (
        intact is None or intact.meaning_for(Case(case.scenario, case.path)) is not Meaning.HELD
    ):
        return Row(case, Meaning.UNDECIDED, "it broke, but the intact claim did not hold either", outcome.seconds)
    return Row(case, meaning, _told(case, outcome, meaning), outcome.seconds)


def _told(case: Case, outcome: Outcome, meaning: Meaning) -> str:
    if meaning is Meaning.PROVEN:
        return next(f"{failed.check}: {failed.told}" for failed in outcome.failed if failed.check == case.must_fail)
    if meaning is Meaning.ELSEWHERE:
        others = ", ".join(failed.check for failed in outcome.failed) or "none"
        return f"{case.must_fail} did not fail; what failed: {others}"
    return "" if meaning is Meaning.HELD else outcome.summary


def _idle_checks(suite: Suite, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """Yield the checks that a scenario asks for and that failed in none of its removals."""
    for path, scenario in suite.scenarios:
        removals = [
            outcomes[case.id]
            for case in suite.cases
            if case.scenario == path.stem and case.without and case.id in outcomes
        ]
        failed = {found.check for outcome in removals for found in outcome.failed}
        for entry in scenario.checks if removals else ():
            if entry.id not in failed:
                yield f"{path.stem}: {entry.id}"
