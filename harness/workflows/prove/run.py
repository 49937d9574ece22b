"""Running the cases of a proof one after the other, each outcome on disk before the next begins."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.model.result.finding import Verdict
from harness.workflows.prove.cases import Case, Suite
from harness.workflows.prove.outcome import Meaning, Outcome, outcome_of
from harness.workflows.prove.store import Store

RunCase = Callable[[Case], tuple[str, Verdict]]
"""Runs one case and returns the recording's id and its verdict; raises only what ends the whole proof."""


@dataclass(frozen=True, slots=True)
class Began:
    """A case begins: which of how many."""

    case: Case
    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A case has ended."""

    case: Case
    outcome: Outcome
    meaning: Meaning


def run_cases(suite: Suite, store: Store, run_case: RunCase) -> Iterator[Began | Ended]:
    """Run what is not decided yet, in order; yield what happens. Never two at once: they would share the machine."""
    done = store.outcomes()
    left = [case for case in suite.cases if case.id not in done]
    for number, case in enumerate(left, len(suite.cases) - len(left) + 1):
        yield Began(case, number, len(suite.cases))
        outcome = _run(case, run_case)
        store.add(outcome)
        yield Ended(case, outcome, outcome.meaning_for(case))


def _run(case: Case, run_case: RunCase) -> Outcome:
    began_s = time.monotonic()
    run, verdict = run_case(case)
    return outcome_of(case, verdict, run=run, seconds=time.monotonic() - began_s)


def seconds_by_scenario(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Return what the runs of each scenario took, the longest first."""
    total: dict[str, float] = {}
    for outcome in outcomes.values():
        name = outcome.case.partition("/")[0]
        total[name] = total.get(name, 0.0) + outcome.seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))
