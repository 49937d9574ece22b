import pytest

from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found

DEAD = {"name": "events_dead_total", "bound": "<= 2", "labels": {"stream": "orders"}}


def counted(written, *values, begin_s=11.5, service="orders", stream="orders"):
    """Write one sample a second."""
    for number, value in enumerate(values):
        written.metric(begin_s + number, service, "events_dead_total", value, stream=stream)


def judged(written):
    return [(f.status, f.value) for f in found(all_is_well(written).read(), "metric")]


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ((5, 5, 6, 7), (Status.PASS, "2")),
        ((5, 5, 6, 8), (Status.FAIL, "3")),
        ((5, 7, 0, 1), (Status.FAIL, "3")),  # it restarted, and counts from 0 again
    ],
)
def test_an_increase_counts_within_the_fault_phase_and_across_restarts(new_run, values, result):
    written = new_run({"metric": DEAD})
    counted(written, *values)
    counted(written, 0, 100, stream="other")
    counted(written, 3, 9, begin_s=24)
    assert judged(written) == [result]


def test_increases_of_several_processes_add_up(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 0, 2)
    counted(written, 0, 2, service="insights")
    assert judged(written) == [(Status.FAIL, "4")]


@pytest.mark.parametrize(
    ("measure", "bound", "result"),
    [
        ("max", "<= 7", (Status.PASS, "7")),
        ("max", "< 7", (Status.FAIL, "7")),
        ("last", "<= 3", (Status.PASS, "3")),
        ("last", "<= 2", (Status.FAIL, "3")),
        ("min", ">= 1", (Status.PASS, "1")),
        ("min", ">= 2", (Status.FAIL, "1")),
    ],
)
def test_gauges(new_run, measure, bound, result):
    written = new_run({"metric": DEAD | {"measure": measure, "bound": bound}})
    counted(written, 9, 1, 7, 3)
    assert judged(written) == [result]


def test_what_comes_before_after_is_not_looked_at(new_run):
    written = new_run({"metric": DEAD | {"measure": "max", "after": "3s"}})
    counted(written, 9, 9, 9, 9, 1, 1)
    assert judged(written) == [(Status.PASS, "1")]


def test_a_metric_that_was_never_seen_is_unknown(new_run):
    (finding,) = found(all_is_well(new_run({"metric": DEAD})).read(), "metric")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_another_services_metric_does_not_count(new_run):
    written = new_run({"metric": DEAD | {"service": "payments"}})
    counted(written, 0, 9)
    (finding,) = found(all_is_well(written).read(), "metric")
    assert finding.cause is Cause.TELEMETRY_LOST
