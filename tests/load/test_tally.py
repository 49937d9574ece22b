"""Counts of each second and of the whole run."""

import pytest

from harness.load.arrivals import Arrival, Surge
from harness.load.tally import Tally, quantile
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Outcome


def test_the_tally_counts_seconds_and_the_whole_run():
    tally = Tally(surges=[Surge("fault-1", "acme", 5, 1.0, 2.0)])
    for due_s, lag_ms in ((0.5, 1), (1.5, 30), (2.0, 2)):
        tally.started(Arrival(int(due_s * NS_PER_S), "acme", "buy", 0), lag_ms * NS_PER_MS)
    tally.started(Arrival(int(1.5 * NS_PER_S), "globex", "buy", 0), 0)
    for outcome, latency_ms in ((Outcome.OK, 10), (Outcome.OK, 20), (Outcome.REFUSED, 5), (Outcome.DROPPED, 500)):
        tally.ended("acme", "browse", outcome, latency_ms * NS_PER_MS)
    assert (tally.sent, tally.late, tally.dropped, tally.surge_sent["fault-1"]) == (4, 1, 1, 1)
    nothing = {"sent": 0, "ok": 0, "refused": 0, "failed": 0, "unknown": 0, "dropped": 0, "p95_ms": None}
    assert tally.take_second(["acme", "globex"]) == {
        "progress": {
            "acme": {**nothing, "sent": 3, "ok": 2, "refused": 1, "dropped": 1, "p95_ms": 20.0},
            "globex": nothing,
        },
        "lag_p99_ms": 30.0,
        "in_flight": 0,
    }
    assert tally.take_second(["acme"])["progress"] == {"acme": nothing}


def test_guardrails_get_every_flow_of_the_second():
    tally = Tally(is_guarded=True)
    for flow, outcome, latency_ms in (
        ("browse", Outcome.OK, 10),
        ("browse", Outcome.FAILED, 20),
        ("buy", Outcome.OK, 5),
    ):
        tally.ended("acme", flow, outcome, latency_ms * NS_PER_MS)
    assert tally.take_second(["acme"])["flows"] == [
        {"tenant": "acme", "flow": "browse", "bad": 1, "latencies_ms": [10.0, 20.0]},
        {"tenant": "acme", "flow": "buy", "bad": 0, "latencies_ms": [5.0]},
    ]
    assert tally.take_second(["acme"])["flows"] == []


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([], 0.5, None), ([7], 0.99, 7), (range(1, 101), 0.95, 95), (range(1, 101), 0.99, 99), ([1, 2], 0.5, 1)],
)
def test_quantiles_are_values_that_occurred(values, share, found):
    assert quantile(values, share) == found
