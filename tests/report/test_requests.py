"""Folding requests into buckets, against a slow and obvious way to do it."""

import math

import numpy as np

from harness.evidence.requests import OUTCOMES, Pair, load_requests
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_S
from harness.recording.columns import Outcome, Table
from harness.recording.writer import SegmentWriter
from harness.report.axis import Axis, Extent, cut, extent_of
from harness.report.requests import flatten, fold
from tests.report.demo import T0, Demo, at, demo_plan, windows_of


def test_folding_loses_no_request_and_ranks_as_sorting_does(observed, held):
    rows = held.frame(Table.REQUESTS, ("tenant", "flow", "intended_start", "end", "outcome"))
    rows = rows.assign(
        bucket=(rows["intended_start"] - T0) // (2 * NS_PER_S), ms=(rows["end"] - rows["intended_start"]) / 1e6
    )
    folded = fold(observed.requests, Axis(observed.extent, T0, 2, 28))
    assert folded.sizes.sum() == len(rows)
    p95_ms, slow = folded.quantile_ms(0.95), folded.slower_than(600)
    for (tenant, flow, bucket), group in rows.groupby(["tenant", "flow", "bucket"], observed=True):
        cell = folded.pairs.index(Pair(tenant, flow)), bucket
        ordered = sorted(group["ms"])
        assert math.isclose(p95_ms[cell], ordered[math.ceil(0.95 * len(ordered)) - 1], rel_tol=1e-5)
        assert folded.bad[cell] == (group["outcome"] != "ok").sum()
        assert slow[cell] == (group["ms"] > 600).sum()


def test_a_dropped_request_is_infinitely_late_and_says_nothing_of_the_lag(tmp_path):
    recording = Demo(tmp_path / "run", until_s=0.0).write()
    writer = SegmentWriter(recording.path, Table.REQUESTS, source="load-1")
    for number, outcome in enumerate(("ok", "dropped")):
        sent = at(1) + 3_000_000 if outcome == "ok" else 0
        writer.append(
            ("acme", "browse", "list", at(1), sent, at(1) + 9_000_000, 200, outcome, None, bytes(16), 1, False, None)
        )
        assert number < 2
    writer.flush()
    requests = flatten(load_requests(recording))
    assert requests.by_outcome() == {o: int(o in (Outcome.OK, Outcome.DROPPED)) for o in OUTCOMES}
    assert requests.quantile_ms(0.5) == 9
    assert requests.quantile_ms(0.95) == math.inf
    assert requests.lag_quantile_ms(0.99) == 3


def test_later_steps_say_nothing_of_the_generators_lag(held, observed):
    first = held.rows(Table.REQUESTS) - len(held.frame(Table.REQUESTS, ("step",)).query("step == 'product'"))
    assert np.count_nonzero(~np.isnan(observed.requests.lag_ms)) == first


def test_an_edge_of_the_buckets_lies_on_the_start_of_the_fault():
    windows = windows_of(demo_plan().phases.model_copy(update={"warmup": 3.0}))
    axis = cut(extent_of(windows, None), at_most=75, at_least_s=5)
    fault_ns = next(w.start_ns for w in windows if w.phase is Phase.FAULT)
    assert axis.width_s == 5
    assert (fault_ns - axis.start_ns) % (5 * NS_PER_S) == 0
    assert axis.coverage().tolist() == [0.8, *[1.0] * 10, 0.2]


def test_a_long_run_gets_wider_buckets():
    day = Extent(0, 86_400 * NS_PER_S)
    axis = cut(day, at_most=75)
    assert axis.count <= 75
    assert axis.count * axis.width_s >= 86_400


def test_what_lies_outside_the_axis_has_no_bucket():
    axis = cut(Extent(T0, at(10)), at_most=30)
    assert axis.bucket(np.array([T0 - 1, T0, at(10) - 1, at(10)])).tolist() == [-1, 0, 9, -1]
