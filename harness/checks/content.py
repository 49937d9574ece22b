"""Successes of quite another size than the same step had before: default content, a login page, a hidden error."""

from collections.abc import Iterator

import pandas as pd

SIZES = ("tenant", "flow", "step", "bytes")
"""What is looked at of the successes before the fault."""

_ENOUGH = 20  # successes of a step before the fault that show what is usual
_SMALLER, _LARGER = 0.25, 8.0  # lists grow during a run, but not eightfold; no usual answer shrinks to a quarter
_GROWING = 2  # sizes in between: a list that grows during the run, and no page of another kind
EMPTY_BYTES = 2  # "", "[]", "{}"


def other_content(before: pd.DataFrame, since: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what kind of other content it is, with its rows; empty successes are not looked at here."""
    usual = before.groupby("step", observed=True)["bytes"].agg(["min", "max", "count"])
    usual = usual[usual["count"] >= _ENOUGH]
    known = since[since["step"].isin(usual.index) & (since["bytes"] > EMPTY_BYTES)]
    if not len(known):
        return
    steps = known["step"].astype(str)
    least, most = (steps.map({str(step): float(size) for step, size in usual[edge].items()}) for edge in ("min", "max"))
    yield "success of far fewer bytes", known[known["bytes"] < _SMALLER * least]
    larger = known[known["bytes"] > most]
    if int((larger["bytes"] <= _LARGER * most[larger.index]).sum()) < _GROWING:
        yield "success of far more bytes", known[known["bytes"] > _LARGER * most]
