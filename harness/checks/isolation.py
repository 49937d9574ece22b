"""No answer held another tenant's data. One sight is enough."""

from collections.abc import Iterable, Iterator

import pyarrow.compute as pc

from harness.evidence.facts import Facts
from harness.model.files.scenario import IsolationCheck, Severity
from harness.model.result.finding import Cause, Evidence, Finding, Status
from harness.recording.columns import Outcome, Table

_MOST_EVIDENCE = 5


def isolation(facts: Facts, spec: IsolationCheck | None = None) -> Iterable[Finding]:
    """Judge every answer that names its tenant, and every row that the ledgers gave back.

    Where nobody asked for it and the target names no tenant anywhere, that it is undecided is a warning only.
    """
    breaches = [*_foreign_answers(facts), *_foreign_rows(facts)]
    examined = _examined(facts)
    about = ("", "all tenants")
    value, bound = f"{len(breaches)} foreign in {examined:,} answers", "0"
    if breaches:
        reason = "A tenant was given another tenant's data."
        shown = tuple(breaches[:_MOST_EVIDENCE])
        return [Finding(*about, Status.FAIL, value, bound, examined, None, reason=reason, evidence=shown)]
    if not examined:
        reason = "No answer named its tenant: say where it does with `watermark:` in the target's flows."
        severity = Severity.CRITICAL if spec or _marked(facts) else Severity.WARNING
        return [Finding(*about, Status.UNKNOWN, value, bound, 0, None, severity, Cause.TOO_FEW_SAMPLES, reason)]
    return [Finding(*about, Status.PASS, value, bound, examined, None)]


def _foreign_answers(facts: Facts) -> Iterator[Evidence]:
    columns = ("tenant", "flow", "foreign", "trace_id")
    table = facts.recording.arrow(Table.REQUESTS, columns, where=pc.field("foreign").is_valid())
    for row in table.to_pylist():
        trace = row["trace_id"].hex() if row["trace_id"] else None
        yield Evidence(f"{row['tenant']} {row['flow']} was given data of {row['foreign']}", trace)


def _foreign_rows(facts: Facts) -> Iterator[Evidence]:
    columns = ("type", "ledger", "tenant", "key", "value")
    where = (pc.field("type") == "read") & pc.field("value").is_valid()
    for row in facts.recording.arrow(Table.LEDGER, columns, where=where).to_pylist():
        if row["value"] != row["tenant"]:
            yield Evidence(f"ledger {row['ledger']} of {row['tenant']} held {row['key']} of {row['value']}")


def _examined(facts: Facts) -> int:
    """Return how many answers were looked into: good ones of steps that say where their tenant is, and rows read."""
    answers = 0
    for flow, step in _marked(facts):
        where = (pc.field("flow") == flow) & (pc.field("step") == step) & (pc.field("outcome") == Outcome.OK.value)
        answers += len(facts.recording.arrow(Table.REQUESTS, ("status",), where=where))
    where = (pc.field("type") == "read") & pc.field("value").is_valid()
    return answers + len(facts.recording.arrow(Table.LEDGER, ("time",), where=where))


def _marked(facts: Facts) -> list[tuple[str, str]]:
    """Return the steps (flow, name) that have load and say where the answer names its tenant."""
    flows = {pair.flow: facts.plan.target.flows[pair.flow] for pair in facts.loaded}
    return [(flow, step.name) for flow, spec in flows.items() for step in spec.steps if step.watermark]
