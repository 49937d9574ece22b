"""Every acknowledged write is there, once; what was refused is not; nothing is there that nobody wrote."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from harness.evidence.facts import Facts
from harness.model.files.scenario import IntegrityCheck, Severity
from harness.model.result.finding import Cause, Evidence, Finding, Status
from harness.model.run.events import Kind
from harness.recording.columns import Table

_MOST_EVIDENCE = 5
BOUND = "each acknowledged once"


@dataclass(frozen=True, slots=True)
class _Ledger:
    """One tenant's writes by how they ended, with their trace ids, and how often each key was read back."""

    tenant: str
    written: Mapping[str, Mapping[str, bytes | None]]  # type -> key -> trace
    read: Mapping[str, int]

    def keys(self, kind: str) -> frozenset[str]:
        return frozenset(self.written.get(kind, {}))


def integrity(facts: Facts, spec: IntegrityCheck) -> Iterator[Finding]:
    """Judge the ledger tenant by tenant: a lost or doubled write is final; leftovers are warnings."""
    frame = facts.recording.frame(Table.LEDGER, ("type", "ledger", "tenant", "key", "trace_id"))
    source = facts.plan.target.ledgers[spec.ledger].of or spec.ledger
    is_read = frame["type"] == "read"
    frame = frame[(is_read & (frame["ledger"] == spec.ledger)) | (~is_read & (frame["ledger"] == source))]
    complete = _read_completely(facts, spec.ledger)
    for tenant in _writers(facts, source):
        ledger = _of_tenant(frame[frame["tenant"] == tenant], tenant)
        yield _promises(spec.ledger, ledger, is_complete=complete.get(tenant, False))
        yield from _leftovers(spec.ledger, ledger)


def _writers(facts: Facts, name: str) -> list[str]:
    """Return the tenants that have load on a flow which writes this ledger."""
    flows = facts.plan.target.flows
    writing = {flow for flow, spec in flows.items() if any(s.ledger and s.ledger.name == name for s in spec.steps)}
    return list(dict.fromkeys(pair.tenant for pair in facts.loaded if pair.flow in writing))


def _read_completely(facts: Facts, name: str) -> dict[str, bool]:
    events = [e for e in facts.recording.events_of(Kind.LEDGER_READ) if e.text("ledger") == name]
    return {event.text("tenant"): event.fields.get("complete") is True for event in events}


def _of_tenant(frame: pd.DataFrame, tenant: str) -> _Ledger:
    by_type = {str(kind): rows for kind, rows in frame.groupby("type", observed=True)}
    read = by_type.pop("read", None)
    counts = {} if read is None else {str(key): int(n) for key, n in read["key"].value_counts().items()}
    written = {kind: dict(zip(rows["key"], rows["trace_id"], strict=True)) for kind, rows in by_type.items()}
    return _Ledger(tenant, written, counts)


def _promises(name: str, ledger: _Ledger, *, is_complete: bool) -> Finding:
    acknowledged = ledger.keys("ok")
    lost = sorted(acknowledged - ledger.read.keys()) if is_complete else []
    doubled = sorted(key for key, times in ledger.read.items() if times > 1)
    there = len(acknowledged & ledger.read.keys())
    value = f"{there} of {len(acknowledged)} acknowledged are there, {len(lost)} lost, {len(doubled)} doubled"
    status, cause, reason = _judged(len(acknowledged), bool(lost or doubled), is_complete)
    return Finding(
        check="",
        subject=f"{name} {ledger.tenant}",
        status=status,
        value=value,
        bound=BOUND,
        samples=len(acknowledged),
        window=None,
        cause=cause,
        reason=reason,
        evidence=(*_lines("lost", lost, ledger), *_lines("doubled", doubled, ledger))[:_MOST_EVIDENCE],
        tenant=ledger.tenant,
    )


def _judged(acknowledged: int, is_broken: bool, is_complete: bool) -> tuple[Status, Cause | None, str]:
    if is_broken:
        return Status.FAIL, None, "An acknowledgement is a promise, and it was broken."
    if not is_complete:
        reason = "The ledger could not be read back to its end, so what is missing may be there."
        return Status.UNKNOWN, Cause.TELEMETRY_LOST, reason
    if not acknowledged:
        return Status.UNKNOWN, Cause.TOO_FEW_SAMPLES, "No write was acknowledged, so there was nothing to keep."
    return Status.PASS, None, ""


def _leftovers(name: str, ledger: _Ledger) -> Iterator[Finding]:
    refused = sorted(ledger.keys("fail") & ledger.read.keys())
    unasked = sorted(ledger.read.keys() - ledger.keys("invoke"))
    if refused:
        yield _warning(name, ledger, "refused but there", refused, "A write that was refused was done all the same.")
    if unasked:
        yield _warning(name, ledger, "never asked for", unasked, "Keys are there that this run never wrote.")


def _warning(name: str, ledger: _Ledger, what: str, keys: Iterable[str], reason: str) -> Finding:
    found = list(keys)
    return Finding(
        check="",
        subject=f"{name} {ledger.tenant} {what}",
        status=Status.FAIL,
        value=str(len(found)),
        bound="0",
        samples=len(ledger.read),
        window=None,
        severity=Severity.WARNING,
        reason=reason,
        evidence=_lines(what, found, ledger),
        tenant=ledger.tenant,
    )


def _lines(what: str, keys: list[str], ledger: _Ledger) -> tuple[Evidence, ...]:
    traces = {key: trace for rows in ledger.written.values() for key, trace in rows.items() if trace}
    shown = ((key, traces.get(key)) for key in keys[:_MOST_EVIDENCE])
    return tuple(Evidence(f"{what}: {key}", trace.hex() if trace else None) for key, trace in shown)
