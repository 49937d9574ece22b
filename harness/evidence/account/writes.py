"""The ledger against the requests: each acknowledged write must stand in it."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from harness.evidence.account.loss import ANY_FLOW, Loss, Signal
from harness.evidence.ids import Ids, key_of, words_of
from harness.evidence.requests import Pair
from harness.recording.columns import Outcome, Table

if TYPE_CHECKING:
    from harness.evidence.facts import Facts


def lost_writes(facts: "Facts") -> Iterator[Loss]:
    """Yield, by ledger and tenant, acknowledged requests that the history of writes does not have.

    Where it has no history of a tenant at all nothing is compared: there the check of the ledger has nothing to judge.
    """
    recorded = facts.ledger_rows("ok")
    for (ledger, tenant), acknowledged in _acknowledged(facts).items():
        there = recorded.get((ledger, tenant), 0)
        if there and (missing := acknowledged - there) > 0:
            told = f"{acknowledged:,} writes of {tenant} to {ledger} were acknowledged, {there:,} are in the ledger"
            yield Loss(Signal.LEDGER, missing, told, pair=Pair(tenant, ANY_FLOW), about=ledger, explicit=False)


def _acknowledged(facts: "Facts") -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for flow in dict.fromkeys(pair.flow for pair in facts.loaded):
        for step in facts.plan.target.flows[flow].steps:
            if step.ledger is None or step.expect == "refused":
                continue
            for tenant, count in _good_answers(facts, flow, step.name).items():
                key = (step.ledger.name, tenant)
                found[key] = found.get(key, 0) + count
    return found


def _good_answers(facts: "Facts", flow: str, step: str) -> dict[str, int]:
    """Count them by tenant; a row that was exported twice counts once."""
    where = (pc.field("flow") == flow) & (pc.field("step") == step) & (pc.field("outcome") == Outcome.OK.value)
    table = facts.recording.arrow(Table.REQUESTS, ("tenant", "trace_id", "intended_start"), where=where)
    keys: list[Ids] = [np.empty(0, np.uint64)]
    tenants: list[str] = []
    for batch in table.to_batches():
        due = batch.column("intended_start").to_numpy().view(np.uint64)
        keys.append(key_of(words_of(batch.column("trace_id"))) ^ due)
        tenants += batch.column("tenant").to_pylist()
    _, first = np.unique(np.concatenate(keys), return_index=True)
    return dict(Counter(tenants[row] for row in first.tolist()))
