"""What one row of the honesty suite is: a situation, what an SRE would call it, and what the judge makes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.checks.judge import judge
from harness.model.result.finding import Status, Verdict
from tests.recordings import Written, small_plan

Act = Callable[[Written], object]
"""Writes a part of a recording."""

NOT_PASS = "not pass"


@dataclass(frozen=True, slots=True)
class Row:
    """One situation; *kind* is the kind of mistake that it invites, *expected* what must come out."""

    kind: str
    name: str
    expected: str
    acts: tuple[Act, ...]
    checks: Sequence[Mapping[str, Any]] = ()
    target: Mapping[str, Any] | None = None
    without: Sequence[str] = ()
    read: Mapping[str, Any] = field(default_factory=dict)
    scenario: Mapping[str, Any] = field(default_factory=dict)

    def judged(self, run: Path) -> str:
        """Write the recording into *run* and return what the judge says."""
        scenario = {"checks": list(self.checks), **self.scenario}
        written = Written(run, small_plan(scenario=scenario, target=self.target, without=list(self.without)))
        for act in self.acts:
            act(written)
        return told(judge(written.read(**self.read)))

    @property
    def is_bad(self) -> bool:
        """A known-bad situation: anything but a pass is right."""
        return self.expected != Status.PASS.value


def bad(kind: str, name: str, expected: str, *acts: Act, **how: Any) -> Row:
    """Return a known-bad situation; what is no field of a row replaces a part of the scenario."""
    own = {name: how.pop(name) for name in ("checks", "target", "without", "read") if name in how}
    return Row(kind, name, expected, acts, scenario=how, **own)


def good(name: str, *acts: Act, **how: Any) -> Row:
    """Return a known-good situation."""
    return bad("good", name, Status.PASS.value, *acts, **how)


def told(verdict: Verdict) -> str:
    """Return a verdict in two words: its status, and the cause of an unknown."""
    return f"{verdict.status.value} {verdict.cause.value}" if verdict.cause else verdict.status.value


def false_green(row: Row, got: str) -> bool:
    """Say whether something known to be bad passed."""
    return row.is_bad and got == Status.PASS.value


def false_red(row: Row, got: str) -> bool:
    """Say whether something known to be good failed."""
    return not row.is_bad and got == Status.FAIL.value


def as_expected(row: Row, got: str) -> bool:
    """Say whether it is what was expected, the cause included."""
    return got != Status.PASS.value if row.expected == NOT_PASS else got == row.expected
