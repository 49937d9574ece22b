"""The requests of a run as columns, by tenant and flow, in the order of their intended start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.evidence.ids import Ids, key_of, words_of
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_MS
from harness.recording.columns import Outcome, Table
from harness.recording.reader import Recording

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
OUTCOMES = tuple(Outcome)
_COLUMNS = ("tenant", "flow", "step", "intended_start", "start", "end", "status", "outcome", "error", "retry_after")


class Pair(NamedTuple):
    """One tenant's use of one flow: the smallest thing that is promised something."""

    tenant: str
    flow: str


@dataclass(frozen=True, slots=True)
class Requests:
    """Some requests, each one step of a flow, ordered by their intended start."""

    due_ns: Ints
    start_ns: Ints
    end_ns: Ints
    status: NDArray[np.int16]
    outcome: NDArray[np.int8]  # position in OUTCOMES
    timed_out: Bools
    first: Bools  # the first step of its flow: an arrival
    retry_after: Bools
    trace: Ids  # [row, 2]

    def __len__(self) -> int:
        return len(self.due_ns)

    def only(self, chosen: Any) -> "Requests":
        """Return the rows of a mask, a slice or positions."""
        return Requests(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def within(self, window: Window) -> "Requests":
        """Return those that were due in *window*; the columns are views."""
        first, last = np.searchsorted(self.due_ns, (window.start_ns, window.end_ns))
        return self.only(slice(int(first), int(last)))

    def ended(self, *outcomes: Outcome) -> Bools:
        """Say of each row whether it ended in one of these ways."""
        mask: Bools = np.isin(self.outcome, [OUTCOMES.index(outcome) for outcome in outcomes])
        return mask

    @staticmethod
    def joined(parts: "list[Requests]") -> "Requests":
        """Return several as one, in time order."""
        return _together(parts)

    @property
    def latency_ms(self) -> Floats:
        """From the intended start to the end; infinite for what was never sent."""
        latency: Floats = (self.end_ns - self.due_ns) / NS_PER_MS
        latency[self.ended(Outcome.DROPPED)] = np.inf
        return latency

    @property
    def answered(self) -> Bools:
        """Rows whose latency means something: all but those that ended without an answer before their time was up."""
        mask: Bools = ~self.ended(Outcome.UNKNOWN) | self.timed_out
        return mask

    @property
    def sent(self) -> "Requests":
        """Those that went out."""
        return self.only(~self.ended(Outcome.DROPPED))

    @property
    def trace_keys(self) -> Ids:
        """One word a trace, see `key_of`."""
        return key_of(self.trace)


@dataclass(frozen=True, slots=True)
class RequestLog:
    """All requests of a run."""

    by_pair: Mapping[Pair, Requests]

    def of(self, *pairs: Pair) -> Requests:
        """Return the requests of these pairs together, in time order; a pair without any is not an error."""
        return _together([self.by_pair[pair] for pair in pairs if pair in self.by_pair])

    @property
    def last_ns(self) -> int:
        """When the last request ended; 0 without any."""
        return max((int(rows.end_ns.max()) for rows in self.by_pair.values()), default=0)


def _together(parts: list[Requests]) -> Requests:
    if len(parts) == 1:
        return parts[0]
    joined = Requests(*(np.concatenate([*_empty(f.name), *(getattr(p, f.name) for p in parts)]) for f in _FIELDS))
    return joined.only(np.argsort(joined.due_ns, kind="stable"))


_FIELDS = fields(Requests)
_KINDS: Mapping[str, Any] = {"status": np.int16, "outcome": np.int8, "trace": np.uint64} | dict.fromkeys(
    ("timed_out", "first", "retry_after"), np.bool_
)


def _empty(name: str) -> Iterable[NDArray[Any]]:
    yield np.empty((0, 2) if name == "trace" else 0, dtype=_KINDS.get(name, np.int64))


def load_requests(recording: Recording) -> RequestLog:
    """Read all requests into some 50 bytes each."""
    table = recording.arrow(Table.REQUESTS, (*_COLUMNS, "trace_id")).unify_dictionaries().combine_chunks()
    if not len(table):
        return RequestLog({})
    coded = {name: _coded(table[name]) for name in ("tenant", "flow", "step", "outcome", "error")}
    rows = _columns(table, coded, recording)
    (tenants, tenant), (flows, flow) = coded["tenant"], coded["flow"]
    pair = tenant * len(flows) + flow
    order = _once(rows, pair, coded["step"][1])
    rows, pair = rows.only(order), pair[order]
    found, first = np.unique(pair, return_index=True)
    edges = [*first.tolist(), len(pair)]
    named = [Pair(tenants[code // len(flows)], flows[code % len(flows)]) for code in found.tolist()]
    return RequestLog({name: rows.only(slice(edges[i], edges[i + 1])) for i, name in enumerate(named)})


def _once(rows: Requests, pair: Ints, step: Ints) -> Ints:
    """Return the order by pair and intended start; of rows that were sent and recorded twice only the first."""
    keys = rows.trace_keys
    order = np.lexsort((keys, rows.due_ns, pair))
    same = rows.start_ns[order[1:]] > 0
    for column in (pair, rows.due_ns, keys, step):
        same &= column[order[1:]] == column[order[:-1]]
    kept: Ints = order[~np.concatenate([[False], same])]
    return kept


def at_entry(recording: Recording, rows: Requests) -> Requests:
    """Return those of *rows* that no step sent straight to a service."""
    flows = recording.plan.target.flows
    straight = {(name, step.name) for name, flow in flows.items() for step in flow.steps if step.service}
    if not straight:
        return rows
    table = recording.arrow(Table.REQUESTS, ("flow", "step", "trace_id")).unify_dictionaries().combine_chunks()
    (names, name), (steps, step) = _coded(table["flow"]), _coded(table["step"])
    is_straight = np.array([[(f, s) in straight for s in steps] for f in names], dtype=bool)[name, step]
    keys = key_of(words_of(_whole(table["trace_id"])))
    return rows.only(~np.isin(rows.trace_keys, keys[is_straight]))


def _columns(table: pa.Table, coded: Mapping[str, tuple[list[str], Ints]], recording: Recording) -> Requests:
    first_steps = {name: flow.steps[0].name for name, flow in recording.plan.target.flows.items()}
    (flows, flow), (steps, step) = coded["flow"], coded["step"]
    is_first = np.array([[first_steps.get(f, s) == s for s in steps] for f in flows], dtype=bool)
    errors, error = coded["error"]
    return Requests(
        due_ns=_numbers(table["intended_start"]),
        start_ns=_numbers(table["start"]),
        end_ns=_numbers(table["end"]),
        status=_numbers(table["status"]),
        outcome=_outcomes(*coded["outcome"]),
        timed_out=error == errors.index("timeout") if "timeout" in errors else np.zeros(len(table), dtype=bool),
        first=is_first[flow, step],
        retry_after=_numbers(table["retry_after"]),
        trace=words_of(_whole(table["trace_id"])),
    )


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Return the distinct words and each row's position among them; a null is the last one, an empty word."""
    array = _whole(column)
    words = [str(word) for word in array.dictionary.to_pylist()]
    codes: Ints = array.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return [*words, ""], codes


def _outcomes(words: list[str], codes: Ints) -> NDArray[np.int8]:
    names = {outcome.value: position for position, outcome in enumerate(OUTCOMES)}
    unknown = OUTCOMES.index(Outcome.UNKNOWN)
    return np.array([names.get(word, unknown) for word in words], dtype=np.int8)[codes]


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    zero = pa.scalar(0).cast(column.type)
    array: NDArray[Any] = _whole(column).fill_null(zero).to_numpy(zero_copy_only=False)
    return array


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
