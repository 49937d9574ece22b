"""The requests of a recording as compact columns, and folded into buckets: counts by outcome, latencies by quantile."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_MS
from harness.recording.columns import Outcome, Table
from harness.recording.reader import Recording
from harness.report.axis import Axis

OUTCOMES = tuple(Outcome)
_OK = OUTCOMES.index(Outcome.OK)
_DROPPED = OUTCOMES.index(Outcome.DROPPED)
_COLUMNS = ("tenant", "flow", "step", "intended_start", "start", "end", "outcome")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """One tenant's use of one flow: the smallest thing that is promised something."""

    tenant: str
    flow: str


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests, by column, as steps of flows; latency counts from the intended start and is infinite if dropped."""

    pairs: tuple[Pair, ...]
    pair: Ints
    at_ns: Ints
    latency_ms: NDArray[np.float32]
    outcome: NDArray[np.int8]
    lag_ms: NDArray[np.float32]  # of first steps that were sent, else NaN: how late the generator was

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def seen_ns(self) -> tuple[int, int] | None:
        """First and last intended start."""
        return (int(self.at_ns.min()), int(self.at_ns.max())) if len(self) else None

    def within(self, window: Window) -> "Requests":
        """Return those whose intended start lies in *window*."""
        return self.only((self.at_ns >= window.start_ns) & (self.at_ns < window.end_ns))

    def only(self, mask: NDArray[np.bool_]) -> "Requests":
        """Return those where *mask* is true."""
        pair, at_ns, outcome = self.pair[mask], self.at_ns[mask], self.outcome[mask]
        return Requests(self.pairs, pair, at_ns, self.latency_ms[mask], outcome, self.lag_ms[mask])

    def lag_quantile_ms(self, quantile: float) -> float | None:
        """Return how late first steps were sent; None if none was."""
        lags = np.sort(self.lag_ms[~np.isnan(self.lag_ms)])
        return _ranked(lags, quantile)

    def quantile_ms(self, quantile: float) -> float | None:
        """Return a quantile of the latency; None without requests."""
        return _ranked(np.sort(self.latency_ms), quantile)

    def by_outcome(self) -> dict[Outcome, int]:
        """Count the requests of each outcome."""
        return dict(zip(OUTCOMES, np.bincount(self.outcome, minlength=len(OUTCOMES)).tolist(), strict=True))

    @property
    def bad_share(self) -> float | None:
        """Share that did not end well; None without requests."""
        return float(np.mean(self.outcome != _OK)) if len(self) else None


def _ranked(ordered: NDArray[np.float32], quantile: float) -> float | None:
    return float(ordered[_rank(quantile, len(ordered))]) if len(ordered) else None


def _rank(quantile: float, size: Any) -> Any:
    """Return the index of the nearest rank: an observed value, never one between two."""
    return np.clip(np.ceil(quantile * size - 1e-9).astype(np.int64) - 1, 0, None)


def load_requests(recording: Recording) -> Requests:
    """Read all requests, batch by batch, into some 30 bytes each."""
    first_steps = {name: flow.steps[0].name for name, flow in recording.plan.target.flows.items()}
    gathered = _Gathered(first_steps)
    for batch in recording.batches(Table.REQUESTS, _COLUMNS):
        gathered.add(batch)
    return gathered.done()


@dataclass(slots=True)
class _Gathered:
    """Turns batches, each with dictionaries of its own, into columns with one common code."""

    first_steps: dict[str, str]
    pairs: dict[Pair, int] = field(default_factory=dict)
    parts: list[tuple[NDArray[Any], ...]] = field(default_factory=list)

    def add(self, batch: pa.RecordBatch) -> None:
        start, end, intended = (batch.column(name).to_numpy() for name in ("start", "end", "intended_start"))
        outcome = _outcomes(batch.column("outcome"))
        pair, first = self._pairs(batch)
        latency = ((end - intended) / NS_PER_MS).astype(np.float32)
        latency[outcome == _DROPPED] = np.inf
        lag = ((start - intended) / NS_PER_MS).astype(np.float32)
        lag[~first | (outcome == _DROPPED)] = np.nan
        self.parts.append((pair, intended, latency, outcome, lag))

    def done(self) -> Requests:
        kinds = (np.int64, np.int64, np.float32, np.int8, np.float32)
        columns = [
            np.concatenate([np.empty(0, kind), *(part[i] for part in self.parts)]) for i, kind in enumerate(kinds)
        ]
        return Requests(tuple(self.pairs), *columns)

    def _pairs(self, batch: pa.RecordBatch) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the pair of each row, and whether the row is the first step of its flow."""
        tenants, flows, steps = (_words(batch.column(name)) for name in ("tenant", "flow", "step"))
        tenant, flow, step = (_codes(batch.column(name)) for name in ("tenant", "flow", "step"))
        seen, which = np.unique(tenant * len(flows) + flow, return_inverse=True)
        pairs = (Pair(tenants[key // len(flows)], flows[key % len(flows)]) for key in seen)
        known = np.array([self.pairs.setdefault(pair, len(self.pairs)) for pair in pairs], dtype=np.int64)
        is_first = np.array([[self.first_steps.get(f, s) == s for s in steps] for f in flows], dtype=bool)
        return known[which], is_first[flow, step]


def _words(column: pa.DictionaryArray) -> list[str]:
    return [str(word) for word in column.dictionary.to_pylist()] or [""]


def _codes(column: pa.DictionaryArray) -> Ints:
    codes: Ints = column.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _outcomes(column: pa.DictionaryArray) -> NDArray[np.int8]:
    names = {outcome.value: code for code, outcome in enumerate(OUTCOMES)}
    table = np.array([names.get(word, OUTCOMES.index(Outcome.UNKNOWN)) for word in _words(column)], dtype=np.int8)
    coded: NDArray[np.int8] = table[_codes(column)]
    return coded


@dataclass(frozen=True, slots=True)
class Folded:
    """Requests by pair and bucket. Every array is [pair, bucket]."""

    axis: Axis
    pairs: tuple[Pair, ...]
    outcomes: Ints  # [pair, bucket, outcome]
    _latency_ms: NDArray[np.float32]  # ordered within each cell
    _first: Ints  # where each cell begins in it

    @property
    def sizes(self) -> Ints:
        """Number of requests."""
        sizes: Ints = self.outcomes.sum(axis=2)
        return sizes

    @property
    def bad(self) -> Ints:
        """Number of requests that did not end well."""
        return self.sizes - self.outcomes[:, :, _OK]

    def quantile_ms(self, quantile: float) -> Floats:
        """Return a quantile of the latency, NaN where there are no requests."""
        sizes = self.sizes
        if not len(self._latency_ms):
            return np.full(sizes.shape, np.nan)
        found = self._latency_ms[np.minimum(self._first + _rank(quantile, sizes), len(self._latency_ms) - 1)]
        return np.where(sizes > 0, found.astype(np.float64), np.nan)

    def slower_than(self, limit_ms: float) -> Ints:
        """Count the requests above *limit_ms*."""
        cell = np.repeat(np.arange(self._first.size), self.sizes.ravel())
        slow: Ints = np.bincount(cell[self._latency_ms > limit_ms], minlength=self._first.size)
        by_cell: Ints = slow.reshape(self._first.shape)
        return by_cell


def fold(requests: Requests, axis: Axis) -> Folded:
    """Put requests into the buckets of *axis*; those outside it are left out."""
    bucket = axis.bucket(requests.at_ns)
    inside = bucket >= 0
    shape = (len(requests.pairs), axis.count)
    cell = requests.pair[inside] * axis.count + bucket[inside]
    latency, outcome = requests.latency_ms[inside], requests.outcome[inside]
    counts = np.bincount(cell * len(OUTCOMES) + outcome, minlength=shape[0] * shape[1] * len(OUTCOMES))
    sizes = np.bincount(cell, minlength=shape[0] * shape[1])
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if sizes.size else sizes
    ordered = latency[np.lexsort((latency, cell))]
    return Folded(axis, requests.pairs, counts.reshape(*shape, len(OUTCOMES)), ordered, first.reshape(shape))
