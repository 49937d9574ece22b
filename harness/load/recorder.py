"""What the load leaves behind: one row a request, the history of writes, and the counts for the display."""

from dataclasses import dataclass

from harness.load.answer import Answer, Judged, names_trace
from harness.load.arrivals import Arrival
from harness.load.tally import Tally
from harness.model.run.clock import Clock
from harness.recording.columns import Outcome
from harness.recording.row_sink import RowSink


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that went out."""

    arrival: Arrival
    step: str
    intended_ns: int
    start_ns: int
    trace_id: bytes


class Recorder:
    """Turns what happened into rows. Everything here is cheap: it runs between two requests."""

    def __init__(
        self, *, requests: RowSink, ledger: RowSink, tally: Tally, clock: Clock, error_trace: str | None = None
    ) -> None:
        self.requests = requests
        self.ledger = ledger
        self.tally = tally
        self._clock = clock
        self._error_trace = error_trace
        self.acknowledged: dict[tuple[str, str], set[str]] = {}  # (ledger, tenant) -> keys

    def answered(self, sent: Sent, end_ns: int, answer: Answer, judged: Judged) -> None:
        """Record how a request ended; latency counts from its intended start."""
        self.requests.add(
            (
                sent.arrival.tenant,
                sent.arrival.flow,
                sent.step,
                sent.intended_ns,
                sent.start_ns,
                end_ns,
                answer.status,
                judged.outcome.value,
                judged.error,
                sent.trace_id,
                len(answer.body),
                answer.retry_after,
                judged.foreign,
            )
        )
        self.tally.ended(sent.arrival.tenant, sent.arrival.flow, judged.outcome, end_ns - sent.intended_ns)
        if self._error_trace and judged.outcome in (Outcome.FAILED, Outcome.REFUSED):
            self.tally.error_answers += 1
            self.tally.untraceable += not names_trace(answer, self._error_trace, sent.trace_id)

    def dropped(self, arrival: Arrival, step: str, *, intended_ns: int, given_up_ns: int) -> None:
        """Record an arrival that was never started."""
        what = (arrival.tenant, arrival.flow, step, intended_ns, 0, given_up_ns)
        self.requests.add((*what, 0, Outcome.DROPPED.value, "not started in time", None, 0, False, None))
        self.tally.ended(arrival.tenant, arrival.flow, Outcome.DROPPED, given_up_ns - intended_ns)

    def write(self, kind: str, ledger: str, tenant: str, key: str, trace_id: bytes) -> None:
        """Record a step in the life of a write: invoke, then ok, fail or unknown."""
        if kind == "ok":
            self.acknowledged.setdefault((ledger, tenant), set()).add(key)
        self.ledger.add((self._clock.now_ns(), kind, ledger, tenant, key, None, trace_id))

    def read(self, ledger: str, tenant: str, key: str, named: str | None, *, before: bool = False) -> None:
        """Record a key that the target says it holds for *tenant*, and the tenant that it names.

        *before*: it was read before the run wrote anything.
        """
        self.ledger.add((self._clock.now_ns(), "before" if before else "read", ledger, tenant, key, named, None))
