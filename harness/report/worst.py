"""The requests worth looking at: the worst of those under the fault, each beside a median one from before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.evidence.requests import Pair
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_MS
from harness.recording.columns import Table
from harness.report.answers import Answers
from harness.report.observed import Observed

_COLUMNS = ("tenant", "flow", "step", "intended_start", "end", "status", "outcome", "error", "trace_id")
_WAYS = ["outcome", "error", "status"]
_MOST_VICTIMS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One request with a trace."""

    pair: Pair
    step: str
    begin_ns: int
    end_ns: int
    status: int
    outcome: str
    error: str | None
    trace_id: bytes

    @property
    def latency_ms(self) -> float:
        """From its intended start."""
        return (self.end_ns - self.begin_ns) / NS_PER_MS


@dataclass(frozen=True, slots=True)
class Worst:
    """One of the worst, and its twin from the baseline."""

    request: Request
    twin: Request | None
    victim: bool


def worst_requests(observed: Observed, answers: Answers) -> tuple[Worst, ...]:
    """Return up to three of the victims, one for each way to end, and the worst bystander's."""
    during, before = (_phase(observed, phase) for phase in (Phase.FAULT, Phase.BASELINE))
    if not len(during):
        return ()
    victims = [p for p in observed.pairs if observed.is_victim(p)] or [e.pair for e in answers.hurt]
    bystanders = [pair for pair in observed.pairs if pair not in victims]
    chosen = [*_one_a_way(_of(during, victims)), *_slowest(_of(during, bystanders))]
    return tuple(Worst(request, _median_twin(before, request), request.pair in victims) for request in chosen)


def _phase(observed: Observed, phase: Phase) -> pa.Table:
    window = observed.recording.window(phase)
    where = pc.field("trace_id").is_valid() & (pc.field("outcome") != "dropped")
    if window is None:
        return Table.REQUESTS.schema.empty_table().select(list(_COLUMNS))
    table = observed.recording.arrow(Table.REQUESTS, _COLUMNS, window=window, where=where).unify_dictionaries()
    return table.append_column("latency", pc.subtract(table["end"], table["intended_start"]))


def _of(table: pa.Table, pairs: Sequence[Pair]) -> pa.Table:
    mask = np.zeros(len(table), dtype=bool)
    for pair in pairs:
        of_pair = pc.and_(pc.equal(table["tenant"], pair.tenant), pc.equal(table["flow"], pair.flow))
        mask |= of_pair.to_numpy(zero_copy_only=False)
    return table.filter(mask)


def _one_a_way(table: pa.Table) -> list[Request]:
    """Return the slowest of each way to end; those that did not end well come first."""
    ways = table.select(_WAYS).group_by(_WAYS).aggregate([]).to_pylist()
    slowest = [request for way in ways for request in _slowest(_ended(table, way))]
    return sorted(slowest, key=lambda r: (r.outcome == "ok", -r.latency_ms))[:_MOST_VICTIMS]


def _ended(table: pa.Table, way: dict[str, object]) -> pa.Table:
    mask = np.ones(len(table), dtype=bool)
    for column, value in way.items():
        same = pc.is_null(table[column]) if value is None else pc.equal(table[column], value)
        mask &= pc.fill_null(same, False).to_numpy(zero_copy_only=False)
    return table.filter(mask)


def _slowest(table: pa.Table) -> list[Request]:
    if not len(table):
        return []
    return [_request(table, int(np.argmax(table["latency"].to_numpy())))]


def _median_twin(before: pa.Table, request: Request) -> Request | None:
    """Return the request of the same tenant, flow and step that took the median time."""
    same = _of(before, [request.pair])
    same = same.filter(pc.equal(same["step"], request.step))
    if not len(same):
        return None
    order = np.argsort(same["latency"].to_numpy(), kind="stable")
    return _request(same, int(order[(len(order) - 1) // 2]))


def _request(table: pa.Table, number: int) -> Request:
    row = table.slice(number, 1).to_pylist()[0]
    pair = Pair(row["tenant"], row["flow"])
    times = (row["intended_start"], row["end"])
    return Request(pair, row["step"], *times, row["status"], row["outcome"], row["error"], row["trace_id"])
