import pytest

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Outcome
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

GLOBEX = Stretch(12, 22, "globex", "checkout")


def test_load_as_planned_passes(new_run):
    recording = all_is_well(new_run(load={"acme": {"checkout": 4}, "globex": {"login": 3}})).read()
    assert told(recording, "load_delivered") == [
        ("load generator", "pass", "ended by itself, code 0"),
        ("acme checkout", "pass", "128 of 128 expected"),
        ("globex login", "pass", "96 of 96 expected"),  # two steps each: only first ones are arrivals
    ]


def unknown(recording):
    return [(f.subject, f.status, f.cause) for f in found(recording, "load_delivered") if f.status is not Status.PASS]


@pytest.mark.parametrize("rate", [0, 1, 9], ids=["none", "a quarter", "more than twice"])
def test_a_phase_with_too_few_or_too_many_arrivals_is_unknown(new_run, rate):
    written = all_is_well(new_run(), but=[GLOBEX])
    written.requests("globex", "checkout", 12, 22, rate=rate) if rate else None
    recording = written.read()
    assert unknown(recording) == [("globex checkout", Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED)]
    assert "in fault." in found(recording, "load_delivered")[-1].reason


def test_more_than_one_percent_dropped_is_unknown(new_run):
    written = all_is_well(new_run())
    for number in range(3):
        written.request("globex", "checkout", 15 + number, outcome=Outcome.DROPPED)
    assert unknown(written.read()) == [("globex checkout", Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED)]


def test_a_surge_is_part_of_what_was_asked_for(new_run):
    written = all_is_well(new_run(faults=[{"surge": {"tenant": "globex", "times": 5}}]), but=[GLOBEX])
    written.requests("globex", "checkout", 12, 22, rate=20)
    assert ("globex browse", Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED) in unknown(written.read())
    assert ("globex checkout", "pass", "288 of 288 expected") in told(written.read(), "load_delivered")


@pytest.mark.parametrize("code", [None, 3], ids=["no word", "code 3"])
def test_a_generator_that_died_is_unknown(new_run, code):
    written = new_run()
    written.load_as_planned(end_s=31.9)
    if code is not None:
        written.event(33, Kind.LOAD_ENDED, code=code)
    assert unknown(written.read()) == [("load generator", Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED)]


def kept_up(written, **load):
    written.load_as_planned(**load)
    return found(written.read(), "generator_kept_up")


def test_a_generator_that_keeps_up_passes(new_run):
    recording = all_is_well(new_run()).read()
    assert told(recording, "generator_kept_up") == [
        ("start lag p99", "pass", "0.5 ms"),
        ("machine busy", "pass", "40%"),
    ]


def test_a_late_generator_is_a_warning(new_run):
    lag, _ = kept_up(new_run(), lag_ms=60)
    assert (lag.status, lag.severity, lag.value) == (Status.FAIL, Severity.WARNING, "60.0 ms")


def test_a_very_late_generator_voids_the_run(new_run):
    lag = kept_up(new_run(), lag_ms=300, latency_ms=400)[0]
    assert (lag.status, lag.severity, lag.cause) == (Status.UNKNOWN, Severity.CRITICAL, Cause.LOAD_NOT_DELIVERED)


def test_a_busy_machine_is_a_warning(new_run):
    written = new_run()
    for second in range(32):
        written.metric(second, "host", "host_cpu_busy_ratio", 1.2)
    _, busy = kept_up(written)
    assert (busy.status, busy.severity, busy.value) == (Status.FAIL, Severity.WARNING, "80%")


def test_an_unobserved_machine_is_an_unknown_warning(new_run):
    written = new_run()
    written.load_as_planned(end_s=31.9)
    _, busy = found(written.read(), "generator_kept_up")
    assert (busy.status, busy.severity, busy.cause) == (Status.UNKNOWN, Severity.WARNING, Cause.TELEMETRY_LOST)
