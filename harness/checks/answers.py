"""A definitive answer under the fault can be a lie: "not found" or an empty success while a dependency is away.

A flow that may fail must fail honestly: with an error that says try again (5xx, 408, 409, 423, 425, 429), not with a
definitive answer that the same flow never gave before the fault. A success of quite another size is default content
or a page of somebody else: a bystander is harmed by it; for a victim, who may be served by a fallback, it is a warning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow.compute as pc

from harness.checks.content import EMPTY_BYTES, SIZES, other_content
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair
from harness.model.files.scenario import Phase, Severity
from harness.model.files.units import Bound
from harness.model.result.finding import Evidence, Finding, Measured, Status, Window
from harness.recording.columns import Outcome, Table

_TRY_AGAIN = (408, 409, 423, 425, 429)
_FEWEST, _SHARE = 2, 0.01  # a single odd answer is noise
_USUAL_BYTES = 20
_MOST_EVIDENCE = 5
_COLUMNS = ("tenant", "flow", "step", "intended_start", "status", "outcome", "bytes", "trace_id")
_FIRST_ERROR, _LAST_ERROR = 400, 499
_GOOD = pc.field("outcome") == Outcome.OK.value
_SUSPECT = ((pc.field("status") >= _FIRST_ERROR) & (pc.field("status") <= _LAST_ERROR)) | (
    _GOOD & (pc.field("bytes") <= EMPTY_BYTES)
)
_NONE = Bound("<=", 0, "")


@dataclass(frozen=True, slots=True)
class _Lie:
    """One kind of answer that came under the fault only."""

    what: str
    rows: pd.DataFrame


def answers(facts: Facts) -> Iterator[Finding]:
    """Judge what each loaded flow answered from the first fault on against what it answered before."""
    suspects = facts.recording.frame(Table.REQUESTS, _COLUMNS, where=_SUSPECT)
    before, since = facts.phase(Phase.BASELINE), _since_the_fault(facts)
    sizes = facts.recording.frame(Table.REQUESTS, SIZES, window=before, where=_GOOD)
    later = facts.recording.frame(Table.REQUESTS, _COLUMNS, window=since, where=_GOOD)
    for pair in facts.loaded:
        usual, now = (_in(_of(suspects, pair), window) for window in (before, since))
        answered = len(facts.requests.of(pair).within(since))
        for lie in (*_definitive_errors(usual, now), *_empty_successes(_of(sizes, pair), now)):
            if len(lie.rows) >= _FEWEST and len(lie.rows) > _SHARE * answered:
                yield _finding(facts, pair, lie, answered, since)
        for what, rows in other_content(_of(sizes, pair), _of(later, pair)):
            if len(rows) >= _FEWEST and len(rows) > _SHARE * answered:
                found = _finding(facts, pair, _Lie(what, rows), answered, since)
                yield replace(found, severity=Severity.WARNING) if pair in facts.victims else found


def _since_the_fault(facts: Facts) -> Window:
    begin_ns = min(facts.fault_window(n).start_ns for n in range(len(facts.plan.scenario.faults)))
    return Window("fault and recovery", begin_ns, facts.phase(Phase.RECOVERY).end_ns)


def _of(frame: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    return frame[(frame["tenant"] == pair.tenant) & (frame["flow"] == pair.flow)]


def _in(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    return frame[(frame["intended_start"] >= window.start_ns) & (frame["intended_start"] < window.end_ns)]


def _definitive_errors(usual: pd.DataFrame, now: pd.DataFrame) -> Iterator[_Lie]:
    known = {*usual["status"].unique(), *_TRY_AGAIN}
    failed = now[(now["outcome"] == Outcome.FAILED.value) & ~now["status"].isin(known)]
    for status, rows in failed[failed["status"] >= _FIRST_ERROR].groupby("status"):
        yield _Lie(f"status {status}", rows)


def _empty_successes(sizes: pd.DataFrame, now: pd.DataFrame) -> Iterator[_Lie]:
    """A success without content, of a step whose successes had some."""
    least = sizes.groupby("step", observed=True)["bytes"].min()
    full = list(least[least >= _USUAL_BYTES].index)
    yield _Lie("empty success", now[(now["outcome"] == Outcome.OK.value) & now["step"].isin(full) & _is_empty(now)])


def _is_empty(rows: pd.DataFrame) -> "pd.Series[bool]":
    return (rows["bytes"] <= EMPTY_BYTES) & (rows["status"] > 0)


def _finding(facts: Facts, pair: Pair, lie: _Lie, answered: int, window: Window) -> Finding:
    first = lie.rows.sort_values("intended_start").head(_MOST_EVIDENCE)
    at = zip(first["intended_start"], first["trace_id"], strict=True)
    return Finding(
        check="",
        subject=f"{pair.tenant} {pair.flow} {lie.what}",
        status=Status.FAIL,
        value=f"{len(lie.rows)} of {answered} answers, none before the fault",
        bound="no definitive answer that the baseline did not give",
        samples=answered,
        window=window,
        severity=Severity.CRITICAL,
        reason="A client believes it; an error that says 'try again' would have been honest.",
        evidence=tuple(
            Evidence(f"{lie.what} at {facts.offset_s(int(due)):.1f} s", trace.hex() if trace else None)
            for due, trace in at
        ),
        tenant=pair.tenant,
        flow=pair.flow,
        measure=lie.what,
        measured=Measured.of(len(lie.rows), ""),
        limit=_NONE,
    )
