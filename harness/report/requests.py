"""The requests of a recording as compact columns, and folded into buckets: counts by outcome, latencies by quantile."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence.requests import OUTCOMES, Pair, RequestLog
from harness.evidence.requests import Requests as PairRequests
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_MS
from harness.recording.columns import Outcome
from harness.report.axis import Axis
from harness.statistics.ranks import nearest_rank

_OK = OUTCOMES.index(Outcome.OK)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    return float(ordered[nearest_rank(quantile, len(ordered))]) if len(ordered) else None


def flatten(log: RequestLog) -> Requests:
    """Put the requests of all pairs into one set of columns, each row with the code of its pair."""
    parts = [_flat(code, rows) for code, rows in enumerate(log.by_pair.values())]
    kinds = (np.int64, np.int64, np.float32, np.int8, np.float32)
    columns = [np.concatenate([np.empty(0, kind), *(part[i] for part in parts)]) for i, kind in enumerate(kinds)]
    return Requests(tuple(log.by_pair), *columns)


def _flat(code: int, rows: PairRequests) -> tuple[NDArray[Any], ...]:
    lag_ms = ((rows.start_ns - rows.due_ns) / NS_PER_MS).astype(np.float32)
    lag_ms[~rows.first | rows.ended(Outcome.DROPPED)] = np.nan
    return np.full(len(rows), code), rows.due_ns, rows.latency_ms.astype(np.float32), rows.outcome, lag_ms


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
        found = self._latency_ms[np.minimum(self._first + nearest_rank(quantile, sizes), len(self._latency_ms) - 1)]
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
