"""The account of a recording: how whole each signal is, over the run or in any part of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.evidence.account.counters import lost_requests
from harness.evidence.account.loss import Loss, Scope, Signal, Times, Wholeness
from harness.evidence.account.notices import lost_reads, missing_files, told_losses
from harness.evidence.account.writes import lost_writes
from harness.recording.columns import Table

if TYPE_CHECKING:
    from harness.evidence.facts import Facts

NEED = 0.99
"""The share of a signal that a check must have of what it stands on, unless it says otherwise."""

_TABLES = {Signal.METRICS: Table.METRICS, Signal.LOGS: Table.LOGS}


@dataclass(frozen=True, slots=True)
class Account:
    """What is missing, by those who must know; nothing of it is looked up before it is needed."""

    losses: Sequence[Loss]
    times: Sequence[Times]


class Bookkeeper:
    """Answers how much of a signal is there in a part of the run."""

    def __init__(self, facts: "Facts") -> None:
        self._facts = facts

    @cached_property
    def account(self) -> Account:
        """Everything that is known to be missing."""
        facts = self._facts
        sources = (lost_requests, told_losses, missing_files, lost_reads, lost_writes)
        losses = [loss for source in sources for loss in source(facts)]
        return Account(losses, facts.span_account.times)

    def whole(self, signal: Signal, scope: Scope) -> Wholeness:
        """Return how much of *signal* is there in *scope*; losses that may lie anywhere count in every scope."""
        losses = [loss for loss in self.account.losses if loss.signal is signal and loss.touches(scope)]
        found = [times.loss_in(scope) for times in self.account.times if times.signal is signal]
        losses += [loss for loss in found if loss is not None]
        return Wholeness(signal, self._present(signal, scope) if losses else 0, losses)

    def _present(self, signal: Signal, scope: Scope) -> int:
        facts, window = self._facts, scope.window
        if signal is Signal.REQUESTS:
            pairs = [pair for pair in facts.raw_requests.by_pair if scope.holds(pair)]
            rows = facts.raw_requests.of(*pairs)
            rows = rows.within(window) if window and len(rows) else rows
            return int(rows.first.sum())
        if signal is Signal.SPANS:
            return facts.span_count(window, scope.about)
        if signal is Signal.LEDGER:
            kinds = facts.ledger_rows("ok"), facts.ledger_rows("read")
            return min(sum(n for (_, t), n in rows.items() if scope.tenant in (None, t)) for rows in kinds)
        if signal is Signal.EVENTS:
            return len(facts.recording.events)
        return facts.recording.rows(_TABLES[signal])
