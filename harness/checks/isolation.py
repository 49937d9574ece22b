"""No answer held another tenant's data. One sight is enough."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pyarrow.compute as pc

from harness.evidence.facts import Facts
from harness.model.files.scenario import IsolationCheck, Severity
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Measured, Status
from harness.recording.columns import Outcome, Table

_MOST_EVIDENCE = 5


def isolation(facts: Facts, spec: IsolationCheck | None = None) -> Iterable[Finding]:
    """Judge every answer that names its tenant, and every row that the ledgers gave back.

    Where nobody asked for it and the target names no tenant anywhere, that it is undecided is a warning only.
    """
    breaches = [*_foreign_answers(facts), *_foreign_rows(facts)]
    examined = _examined(facts)
    found = Finding(
        check="",
        subject="all tenants",
        status=Status.PASS,
        value=f"{len(breaches)} foreign in {sum(examined.values()):,} answers",
        bound="0",
        samples=sum(examined.values()),
        window=None,
        measure="foreign",
        measured=Measured.of(len(breaches), ""),
        limit=Bound("<=", 0, ""),
    )
    if breaches:
        reason = "A tenant was given another tenant's data."
        return [replace(found, status=Status.FAIL, reason=reason, evidence=tuple(breaches[:_MOST_EVIDENCE]))]
    if not found.samples:
        reason = "No answer named its tenant: say where it does with `watermark:` in the target's flows."
        severity = Severity.CRITICAL if spec or _marked(facts) else Severity.WARNING
        return [replace(found.undecided(Cause.TOO_FEW_SAMPLES, reason), severity=severity)]
    if unseen := [tenant for tenant, count in examined.items() if not count]:
        reason = f"No answer to {', '.join(unseen)} could be looked into: none of them succeeded."
        return [found.undecided(Cause.TOO_FEW_SAMPLES, reason)]
    return [found]


def _foreign_answers(facts: Facts) -> Iterator[Evidence]:
    columns = ("tenant", "flow", "foreign", "trace_id")
    table = facts.recording.arrow(Table.REQUESTS, columns, where=pc.field("foreign").is_valid())
    for row in table.to_pylist():
        if row["foreign"] == row["tenant"]:
            continue
        trace = row["trace_id"].hex() if row["trace_id"] else None
        yield Evidence(f"{row['tenant']} {row['flow']} was given data of {row['foreign']}", trace)


def _foreign_rows(facts: Facts) -> Iterator[Evidence]:
    columns = ("type", "ledger", "tenant", "key", "value")
    where = (pc.field("type") == "read") & pc.field("value").is_valid()
    for row in facts.recording.arrow(Table.LEDGER, columns, where=where).to_pylist():
        if row["value"] != row["tenant"]:
            yield Evidence(f"ledger {row['ledger']} of {row['tenant']} held {row['key']} of {row['value']}")


def _examined(facts: Facts) -> Mapping[str, int]:
    """Return how many answers to each tenant were looked into: good ones of steps that name it, and rows read."""
    marked = set(_marked(facts))
    counts = {pair.tenant: 0 for pair in facts.loaded if any(flow == pair.flow for flow, _ in marked)}
    where = pc.field("outcome") == Outcome.OK.value
    answers = facts.recording.frame(Table.REQUESTS, ("tenant", "flow", "step"), where=where)
    for (tenant, flow, step), rows in answers.groupby(["tenant", "flow", "step"], observed=True):
        if (flow, step) in marked:
            counts[str(tenant)] = counts.get(str(tenant), 0) + len(rows)
    where = (pc.field("type") == "read") & pc.field("value").is_valid()
    read = facts.recording.frame(Table.LEDGER, ("tenant",), where=where)
    for tenant, rows in read.groupby("tenant", observed=True):
        counts[str(tenant)] = counts.get(str(tenant), 0) + len(rows)
    return counts


def _marked(facts: Facts) -> list[tuple[str, str]]:
    """Return the steps (flow, name) that have load and say where the answer names its tenant."""
    flows = {pair.flow: facts.plan.target.flows[pair.flow] for pair in facts.loaded}
    return [(flow, step.name) for flow, spec in flows.items() for step in spec.steps if step.watermark]
