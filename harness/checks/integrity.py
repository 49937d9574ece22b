"""Every acknowledged write is there, once; what was refused is not; nothing is there that nobody wrote."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.evidence.facts import Facts
from harness.evidence.ledger import (
    History,
    acknowledged_twice,
    duplicated,
    histories_of,
    lost,
    recovered,
    refused_but_there,
    staleness_s,
    unexpected,
    vanished,
)
from harness.model.files.scenario import IntegrityCheck, Severity
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Evidence, Finding, Measured, Status

_MOST_EVIDENCE = 5
BOUND = "each acknowledged once"
_NONE = Bound("<=", 0, "")

BROKEN: Mapping[str, tuple[Callable[[History], list[str]], str]] = {
    "lost": (lost, "An acknowledgement is a promise, and it was broken."),
    "doubled": (duplicated, "A write has its effect once."),
    "refused but there": (refused_but_there, "A write that was refused was done all the same."),
    "never asked for": (unexpected, "Keys are there that this run never wrote."),
    "acknowledged twice": (acknowledged_twice, "One key was acknowledged to two requests."),
    "vanished": (vanished, "Keys that were read once were missing later."),
}
"""What must not happen to a write, and what it means. One sight is enough."""


@dataclass(frozen=True, slots=True)
class _Judged:
    status: Status
    cause: Cause | None = None
    reason: str = ""


def integrity(facts: Facts, spec: IntegrityCheck) -> Iterator[Finding]:
    """Judge the ledger tenant by tenant; what is late, though in time, is a warning."""
    for history in histories_of(facts, spec.ledger):
        yield _promises(spec.ledger, history)
        yield from _stale(facts, spec.ledger, history)


def _promises(name: str, history: History) -> Finding:
    broken = {what: keys for what, (find, _) in BROKEN.items() if (keys := find(history))}
    judged = _judge(history, broken)
    return Finding(
        check="",
        subject=f"{name} {history.tenant}",
        status=judged.status,
        value=_value(history, broken),
        bound=BOUND,
        samples=len(history.acknowledged),
        window=None,
        cause=judged.cause,
        reason=judged.reason,
        evidence=tuple(line for what, keys in broken.items() for line in _lines(what, keys, history))[:_MOST_EVIDENCE],
        tenant=history.tenant,
        measure=name,
        measured=Measured.of(sum(len(keys) for keys in broken.values()), ""),
        limit=_NONE,
    )


def _value(history: History, broken: Mapping[str, Sequence[str]]) -> str:
    there = len(history.acknowledged.keys() & history.held.keys())
    counted = {"lost": 0, "doubled": 0, **{what: len(keys) for what, keys in broken.items()}}
    if back := len(recovered(history)):
        counted["without an answer but there"] = back
    told = ", ".join(f"{count} {what}" for what, count in counted.items())
    return f"{there} of {len(history.acknowledged)} acknowledged are there, {told}"


def _judge(history: History, broken: Mapping[str, Sequence[str]]) -> _Judged:
    if broken:
        return _Judged(Status.FAIL, None, BROKEN[next(iter(broken))][1])
    final = history.final
    if final is None or not final.answered:
        reason = "The ledger could not be read back to its end, so what is missing may be there."
        return _Judged(Status.UNKNOWN, Cause.TELEMETRY_LOST, reason)
    if not history.acknowledged:
        reason = "No write was acknowledged, so there was nothing to keep."
        return _Judged(Status.UNKNOWN, Cause.TOO_FEW_SAMPLES, reason)
    if not final.is_complete:
        reason = f"{final.told} keys were read back and {final.rows} are in the recording."
        return _Judged(Status.UNKNOWN, Cause.TELEMETRY_LOST, reason)
    return _Judged(Status.PASS)


def _stale(facts: Facts, name: str, history: History) -> Iterator[Finding]:
    """Writes that a complete reading missed and a later one had: there in the end, and late."""
    late_s = staleness_s(history)
    allowed_s = facts.plan.target.ledgers[name].within
    if not late_s or max(late_s.values()) <= allowed_s:
        return
    keys = sorted(late_s, key=lambda key: -late_s[key])
    yield Finding(
        check="",
        subject=f"{name} {history.tenant} stale",
        status=Status.FAIL,
        value=f"{len(late_s)} acknowledged writes were missing for up to {late_s[keys[0]]:.1f} s",
        bound=f"<= {allowed_s:g} s",
        samples=len(history.acknowledged),
        window=None,
        severity=Severity.WARNING,
        reason="A reading after the acknowledgement did not have them.",
        evidence=_lines("stale", keys, history),
        tenant=history.tenant,
        measure=f"{name} stale",
    )


def _lines(what: str, keys: Sequence[str], history: History) -> tuple[Evidence, ...]:
    shown = ((key, history.trace_of(key)) for key in keys[:_MOST_EVIDENCE])
    return tuple(Evidence(f"{what}: {key}", trace.hex() if trace else None) for key, trace in shown)
