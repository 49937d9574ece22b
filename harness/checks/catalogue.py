"""Every check there is, ready to judge: those that scenarios ask for, and those that every run gets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from harness.checks.whole import recording_whole
from harness.evidence.account.loss import Signal, Wholeness
from harness.evidence.facts import Facts
from harness.model.files.check_kinds import declared
from harness.model.files.check_kinds.of_every_run import OF_EVERY_RUN
from harness.model.files.check_kinds.row import CheckKind
from harness.model.files.fault_kinds.row import resolve
from harness.model.result.finding import Finding

__all__ = ["FINAL", "OF_EVERY_RUN", "Check", "asked", "check_of", "stood_on", "whole_as_asked"]


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of check whose code is imported."""

    kind: CheckKind
    judge: Callable[..., Iterable[Finding]]
    by_absence: Callable[[Finding, Wholeness], bool]


@cache
def check_of(kind: CheckKind) -> Check:
    """Import what *kind* names.

    Raises:
        HarnessError: something that it names cannot be imported.
    """
    return Check(kind, resolve(kind.judge), resolve(kind.by_absence))


def asked() -> Mapping[str, Check]:
    """Return the checks that scenarios can ask for, by name, those of plugins included."""
    return {name: check_of(kind) for name, kind in declared.every_kind().items()}


def stood_on(facts: Facts) -> frozenset[Signal]:
    """Return the signals that the checks of a run stand on."""
    kinds = declared.every_kind()
    return frozenset({Signal.REQUESTS}).union(*(kinds[entry.kind].stands_on for entry in facts.plan.scenario.checks))


def whole_as_asked(facts: Facts) -> Iterable[Finding]:
    """State the account of each signal, by its worst phase; what no check of this run stands on is a warning."""
    return recording_whole(facts, stood_on(facts))


FINAL = frozenset(kind.name for kind in (*declared.BUILT_IN, *OF_EVERY_RUN) if kind.final)
"""Kinds of checks of which one failure decides, whatever else happened."""
