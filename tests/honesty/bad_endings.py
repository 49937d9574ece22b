"""A.9: runs that ended otherwise than planned, with a fault that may be in place."""

from harness.model.result.finding import How
from harness.model.run.events import Kind
from tests.checks.stories import SLIGHT
from tests.honesty.acts import BROWSE, FIRST, calm, event, planned, well
from tests.honesty.rows import Row, bad

ASKED = event(12, Kind.FAULT_ASKED, **FIRST, kind="latency", place="payments -> provider-a")
APPLIED = event(12.1, Kind.FAULT_APPLIED, **FIRST, kind="latency", place="payments -> provider-a")


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.9", name, expected, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _undo_failed(cause: str):
    return event(22, Kind.FAULT_FAILED, **FIRST, step="undo", cause=cause)


ROWS = [
    _row("killed between asked and applied", "fail", calm(end_s=12.05), ASKED, read={"how": None}),
    _row("interrupted between asked and applied", "fail", calm(end_s=12.05), ASKED, read={"how": How.INTERRUPTED}),
    _row("killed while the fault was in place", "fail", calm(end_s=15), ASKED, APPLIED, read={"how": None}),
    _row(
        "killed, and the reaper undid it",
        "unknown interrupted",
        calm(end_s=15),
        ASKED,
        APPLIED,
        event(16, Kind.FAULT_UNDONE, **FIRST, by="reaper"),
        read={"how": None},
    ),
    _row("completed, and never undone", "fail", calm(), planned(undone=False)),
    _row("the undo failed", "fail", calm(), planned(undone=False), _undo_failed("still there")),
    _row(
        "the undo failed in a run that failed",
        "fail",
        calm(),
        planned(undone=False),
        _undo_failed("no answer"),
        read={"how": How.FAILED},
    ),
    _row(
        "an injector raised",
        "unknown interrupted",
        calm(end_s=12),
        ASKED,
        event(12.1, Kind.FAULT_FAILED, **FIRST, step="apply", cause="a bug"),
        read={"how": How.FAILED, "cause": "a bug"},
    ),
    _row(
        "the second of two was not undone",
        "fail",
        calm(),
        ASKED,
        APPLIED,
        event(22, Kind.FAULT_UNDONE, **FIRST, by="harness"),
        event(12, Kind.FAULT_APPLIED, fault="fault-2", kind="x", place="y"),
        faults=[*SLIGHT, {"link": "payments -> provider-b", "latency": "30ms"}],
    ),
    _row(
        "a guardrail ended the run",
        "fail",
        calm(end_s=15),
        planned(),
        event(
            15,
            Kind.GUARDRAIL_TRIPPED,
            guardrail="guardrail-1",
            tenant="globex",
            flow="browse",
            measure="errors",
            value="40%",
            bound="> 20%",
            samples=18,
        ),
        read={"how": How.INTERRUPTED, "cause": "a guardrail"},
    ),
    _row("interrupted in the recovery", "unknown interrupted", well(), read={"how": How.INTERRUPTED, "ended_s": 25}),
]
