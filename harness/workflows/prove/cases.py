"""What has to be run: each scenario intact, and once for each set of protections whose absence it must notice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.model.files.scenario import Scenario
from harness.model.files.target import Target

MUTANT = "mutant"
"""Kind of a declared protection that is a flaw to be switched on: the score of the harness, not of the target."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one scenario: intact, or without some protections and then a check that must fail."""

    scenario: str
    path: Path
    without: tuple[str, ...] = ()
    must_fail: str | None = None

    @property
    def id(self) -> str:
        """Names the case in the store of outcomes."""
        return "/".join((self.scenario, ",".join(self.without) or "intact"))


@dataclass(frozen=True, slots=True)
class Suite:
    """Scenarios with the target that they share."""

    target: Target
    scenarios: tuple[tuple[Path, Scenario], ...]

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every case, a scenario's intact run first: it is what the others are compared with."""
        return tuple(case for path, scenario in self.scenarios for case in _cases_of(path, scenario))

    @property
    def protections(self) -> tuple[str, ...]:
        """Every protection that the target declares and a switched-off run can prove."""
        return tuple(name for name, spec in self.target.protections.items() if spec.kind != MUTANT)

    @property
    def mutants(self) -> tuple[str, ...]:
        """Every flaw that the target can be given, to see whether the harness notices."""
        return tuple(name for name, spec in self.target.protections.items() if spec.kind == MUTANT)

    def unnamed(self, declared: Iterable[str]) -> list[str]:
        """Return those of *declared* that no scenario proves."""
        named = {name for case in self.cases for name in case.without}
        return [name for name in declared if name not in named]


def _cases_of(path: Path, scenario: Scenario) -> Iterator[Case]:
    yield Case(path.stem, path)
    named: dict[tuple[str, ...], str] = {}
    for check, names in scenario.proofs:
        named.setdefault(tuple(sorted(names)), check)
    for names, check in named.items():
        yield Case(path.stem, path, names, check)
