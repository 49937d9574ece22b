"""What happened in a run, one event a line: the engine emits them, every output folds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Value = str | int | float | bool | None


class Kind(Enum):
    """Every kind of event with its fields and a note; the fields are part of the recording's contract."""

    _value_: str
    carries: str
    note: str

    def __new__(cls, value: str, carries: str = "", note: str = "") -> "Kind":
        """Make the kind called *value*; what a field holds follows its name after a colon."""
        kind = object.__new__(cls)
        kind._value_, kind.carries, kind.note = value, carries, note
        return kind

    @property
    def fields(self) -> dict[str, str]:
        """Each field's name, with what it holds where the name does not say it."""
        parts = (part.partition(": ") for part in self.carries.split(", "))
        return {name: about for name, _, about in parts}

    RUN_STARTED = "run.started", "scenario, seed"
    RUN_ENDED = "run.ended", "how: completed | interrupted | failed, cause"
    STACK_STARTED = "stack.started", "seconds"
    PHASE_STARTED = "phase.started", "phase", "the time is the planned edge, not the moment of writing"
    FAULT_ASKED = "fault.asked", "fault, kind, place"
    FAULT_APPLIED = "fault.applied", "fault, kind, place", "after the injector read it back"
    FAULT_OBSERVED = "fault.observed", "fault, connections, bytes, requests, tenants, touched, unit, first_observed_ns"
    FAULT_READ_BACK = "fault.read_back", "fault, intact: null where it cannot be told, found, lifted_by, last_intact_ns"
    FAULT_UNDONE = "fault.undone", "fault, by: harness | reaper", "after it was read back"
    FAULT_FAILED = "fault.failed", "fault, step: apply | undo, cause"
    GUARDRAIL_TRIPPED = "guardrail.tripped", "guardrail, tenant, flow, measure, value, bound, samples"
    SURGE_DELIVERED = "surge.delivered", "fault, tenant, requests"
    BREAKER_CHANGED = "breaker.changed", "service, breaker, from_state, to_state, tenant, trace_id"
    BULKHEAD_REJECTED = "bulkhead.rejected", "service, bulkhead, outcome, tenant, trace_id"
    BREAKER_REFUSED = "breaker.refused", "service, breaker, tenant, trace_id"
    RETRY_SCHEDULED = "retry.scheduled", "service, link, attempt, delay_ms, trace_id"
    RETRY_REFUSED = "retry.refused", "service, link, reason, trace_id"
    DEADLINE_EXCEEDED = "deadline.exceeded", "service, tenant, trace_id"
    RATE_LIMITED = "rate_limit.refused", "service, tenant, trace_id"
    PROCESS_STARTED = "process.started", "service, pid"
    PROCESS_EXITED = "process.exited", "service, pid, code: null where only its supervisor knows it, expected"
    LOAD_STARTED = "load.started", "pid"
    LOAD_ENDED = (
        "load.ended",
        "arrivals, sent, late, dropped, code, by_pair: JSON rows, error_answers, untraceable",
        "by_pair has tenant, flow, phase and arrivals; untraceable are those of the error answers",
    )
    TELEMETRY_LOST = "telemetry.lost", "what, count"
    LEDGER_READ = "ledger.read", "ledger, tenant, keys, complete: true or false, cause"
    NOTE = "note", "text, all_undone: true where the reaper or `recover` left nothing"

    @classmethod
    def _missing_(cls, value: object) -> "Kind | None":
        """Recordings of 0.1.0 call some kinds by other names."""
        return {"fault.felt": cls.FAULT_OBSERVED}.get(str(value))


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened at one time (UTC ns), with flat, JSON-able fields."""

    time_ns: int
    kind: Kind
    fields: Mapping[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a field as text; empty where it is absent or null."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> float:
        """Return a field as a number; 0 where it is absent or null."""
        value = self.fields.get(name)
        return float(value) if isinstance(value, int | float) else 0.0
