"""A recording that is not as its run left it proves nothing, whatever its checks say."""

from collections.abc import Sequence
from dataclasses import replace

from harness.model.result.finding import Cause, Finding, Status, Verdict

_SHOWN = 3
NEXT_STEP = "judge an intact copy, or, if you know who changed it and why, this one with --trust"


def distrusted(verdict: Verdict, tampered: Sequence[str]) -> Verdict:
    """Return *verdict* as unknown where any file was changed; what the checks found stays to be looked at."""
    if not tampered:
        return verdict
    shown = ", ".join(tampered[:_SHOWN]) + (f" and {len(tampered) - _SHOWN} more" if len(tampered) > _SHOWN else "")
    findings = (*(_finding(change) for change in tampered), *verdict.findings)
    summary = f"The recording is not as the run left it: {shown}. Next: {NEXT_STEP}."
    return replace(verdict, status=Status.UNKNOWN, cause=Cause.TAMPERED, summary=summary, findings=findings)


def _finding(change: str) -> Finding:
    name = change.partition(" ")[0]
    return Finding(
        "intact", name, Status.UNKNOWN, change, "as the run left it", 0, None, cause=Cause.TAMPERED, reason=""
    )
