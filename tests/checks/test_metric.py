from math import inf, nan

import pytest

from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found

DEAD = {"name": "events_dead_total", "bound": "<= 2", "labels": {"stream": "orders"}}
AGE = {"name": "queue_age_seconds", "measure": "max"}
NO_LABELS: dict[str, str] = {}
TO_THE_END = 23


def counted(written, *values, begin_s=11.5, until_s=TO_THE_END, service="orders", name="events_dead_total", **labels):
    """Write one sample a second; the last value stays until *until_s*."""
    wanted = labels or {"stream": "orders"}
    second = begin_s
    for number in range(max(len(values), round(until_s - begin_s))):
        written.metric(second, service, name, values[min(number, len(values) - 1)], **wanted)
        second += 1


def scraped(written, *, down=(), service="orders"):
    """Write that the service was scraped every second, and did not answer in the seconds of *down*."""
    for second in range(32):
        written.metric(second + 0.5, service, "up", 0.0 if second in down else 1.0)


def judged(written):
    return [(f.status, f.value) for f in found(all_is_well(written).read(), "metric")]


def undecided(written):
    return [(f.status, f.cause) for f in found(all_is_well(written).read(), "metric")]


LOST = [(Status.UNKNOWN, Cause.TELEMETRY_LOST)]


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ((5, 5, 6, 7), (Status.PASS, "2")),
        ((5, 5, 6, 8), (Status.FAIL, "3")),
        ((5, 7, 0, 1), (Status.FAIL, "3")),  # it restarted, and counts from 0 again
        ((5, 6, 1, 0, 1), (Status.FAIL, "3")),  # twice
        ((5, 6, 1, 0), (Status.PASS, "2")),
    ],
)
def test_an_increase_counts_within_the_fault_phase_and_across_restarts(new_run, values, result):
    written = new_run({"metric": DEAD})
    counted(written, *values)
    counted(written, 0, 100, stream="other")
    counted(written, 90, 99, begin_s=25, until_s=27)
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
    assert undecided(new_run({"metric": DEAD})) == LOST


def test_another_services_metric_does_not_count(new_run):
    written = new_run({"metric": DEAD | {"service": "payments"}})
    counted(written, 0, 9)
    assert undecided(written) == LOST


# -- gaps --------------------------------------------------------------------------------------------------------------


def test_a_counter_that_jumps_over_a_phase_in_which_its_service_was_down_is_unknown(new_run):
    written = new_run({"metric": DEAD})
    scraped(written, down=range(12, 22))
    counted(written, 5, begin_s=2.5, until_s=12.5)
    counted(written, 505, begin_s=22.5, until_s=31)
    assert undecided(written) == LOST


@pytest.mark.parametrize("silent", [(13, 18), (11, 16), (18, 23)], ids=["inside", "at its start", "at its end"])
@pytest.mark.parametrize("measure", ["increase", "max", "min", "last"])
def test_a_gap_of_some_seconds_is_unknown_where_it_may_hide_the_answer(new_run, silent, measure):
    bound = ">= 5" if measure == "min" else "<= 5"
    written = new_run({"metric": DEAD | {"measure": measure, "bound": bound}})
    for second in range(2, 31):
        if not silent[0] <= second < silent[1]:
            written.metric(second + 0.5, "orders", "events_dead_total", 5, stream="orders")
    hides = measure != "last" or silent[1] == 23
    assert judged(written)[0][0] is (Status.UNKNOWN if hides else Status.PASS)


@pytest.mark.parametrize(
    ("measure", "bound", "status"),
    [("increase", "<= 2", Status.FAIL), ("increase", ">= 2", Status.PASS), ("max", "<= 7", Status.FAIL)],
)
def test_what_is_there_decides_where_the_gap_cannot_change_it(new_run, measure, bound, status):
    written = new_run({"metric": DEAD | {"measure": measure, "bound": bound}})
    counted(written, 5, 6, 7, 8, until_s=15)
    assert [s for s, _ in judged(written)] == [status]


def test_one_missed_scrape_is_no_gap(new_run):
    written = new_run({"metric": DEAD})
    scraped(written, down=[15])
    for second in range(2, 31):
        if second != 15:
            written.metric(second + 0.5, "orders", "events_dead_total", 5, stream="orders")
    assert judged(written) == [(Status.PASS, "0")]


def test_a_restart_in_a_gap_loses_what_was_counted_before_it(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 5, begin_s=10.5, until_s=14)
    counted(written, 0, begin_s=18.5, until_s=23)
    assert undecided(written) == LOST


def test_a_process_that_tells_when_it_began_shows_a_restart_that_the_counter_hides(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 5, 5, 5, 6)  # 1 more, or a new process that counted 6
    counted(written, 100, 100, 100, 103, name="process_start_time_seconds", pid="1")
    assert judged(written) == [(Status.FAIL, "6")]


# -- births ------------------------------------------------------------------------------------------------------------


def test_a_series_that_is_born_in_the_window_counts_from_zero(new_run):
    written = new_run({"metric": DEAD})
    scraped(written)
    counted(written, 3, begin_s=15.6)
    assert judged(written) == [(Status.FAIL, "3")]


def test_a_counter_that_is_first_seen_when_the_phase_has_begun_may_have_counted_before(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 3, begin_s=12.5)
    assert (undecided(written), judged(written)[0][1]) == (LOST, "0 to 3")


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["increase", "max"])
def test_a_tenant_without_a_series_is_unknown_where_others_have_theirs(new_run, measure):
    written = new_run({"metric": {"name": "events_dead_total", "bound": "<= 2", "measure": measure}})
    counted(written, 0, begin_s=2.5, tenant="acme")
    assert undecided(written) == LOST
    counted(written, 0, begin_s=2.5, tenant="globex")
    assert [s for s, _ in judged(written)] == [Status.PASS]


def test_a_tenant_that_the_check_names_needs_no_others(new_run):
    written = new_run({"metric": {"name": "events_dead_total", "bound": "<= 2", "labels": {"tenant": "acme"}}})
    counted(written, 0, begin_s=2.5, tenant="acme")
    assert judged(written) == [(Status.PASS, "0")]


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [nan, inf, -inf])
@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize("measure", ["increase", "max", "min"])
def test_what_is_no_number_decides_nothing_wherever_it_stands(new_run, odd, place, measure):
    written = new_run({"metric": DEAD | {"measure": measure, "bound": "<= 5"}})
    values = [1.0] * 6
    values[place] = odd
    counted(written, *values, 1.0, begin_s=12.5)
    assert undecided(written) == LOST


def test_a_sample_that_was_recorded_twice_counts_once(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 5, 6, 7)
    counted(written, 5, 6, 7)
    assert judged(written) == [(Status.PASS, "2")]


def test_two_values_at_one_moment_contradict_each_other(new_run):
    written = new_run({"metric": DEAD})
    counted(written, 5, 6, 7)
    counted(written, 5, 6, 900, until_s=14)
    assert undecided(written) == LOST


def test_samples_out_of_order_are_put_in_order(new_run):
    written = new_run({"metric": DEAD})
    for second, value in sorted({s + 0.5: 5 if s < 15 else 7 for s in range(2, 31)}.items(), reverse=True):
        written.metric(second, "orders", "events_dead_total", value, stream="orders")
    assert judged(written) == [(Status.PASS, "2")]


def test_an_increase_of_a_gauge_is_no_measurement(new_run):
    written = new_run({"metric": {"name": "queue_size", "bound": "<= 2"}})
    counted(written, 9, 8, 9, 8, name="queue_size", stream="orders")
    assert undecided(written) == LOST


# -- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit", "bound", "value", "result"),
    [
        ("queue_age_seconds", None, "<= 500ms", 3.0, (Status.FAIL, "3000 ms")),
        ("queue_age_seconds", None, "<= 0.5s", 3.0, (Status.FAIL, "3000 ms")),
        ("queue_age_seconds", None, "<= 0.5s", 0.4, (Status.PASS, "400 ms")),
        ("queue_age_seconds", None, "<= 3", 3.0, (Status.PASS, "3")),
        ("queue_age_ms", None, "<= 0.5s", 400.0, (Status.PASS, "400 ms")),
        ("queue_full_ratio", None, "<= 50%", 0.6, (Status.FAIL, "60%")),
        ("queue_full_percent", None, "<= 50%", 40.0, (Status.PASS, "40%")),
        ("queue_age", "seconds", "<= 0.5s", 3.0, (Status.FAIL, "3000 ms")),
    ],
)
def test_a_bound_is_compared_in_the_metrics_unit(new_run, name, unit, bound, value, result):
    check = {"name": name, "measure": "max", "bound": bound, **({"unit": unit} if unit else {})}
    written = new_run({"metric": check})
    counted(written, value, name=name, stream="orders")
    assert judged(written) == [result]


@pytest.mark.parametrize(("name", "bound"), [("queue_bytes", "<= 5ms"), ("queue_age", "<= 5s"), ("a_seconds", "< 5%")])
def test_a_bound_that_does_not_fit_the_metric_decides_nothing_in_an_old_recording(new_run, name, bound):
    written = new_run({"metric": {"name": name, "measure": "max", "bound": bound}})
    counted(written, 1.0, name=name, stream="orders")
    assert undecided(written) == [(Status.UNKNOWN, Cause.NOTHING_JUDGED)]
