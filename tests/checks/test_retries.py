from harness.model.finding import Cause, Status
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

PAY = "orders -> payments"
CHECK = {"retries": {"link": PAY, "amplification": "<= 1.3"}}
QUIET = Stretch(12, 22, None, "checkout")


def numbered(written, tries):
    """Write one call a fifth of a second under the fault, each tried so often."""
    all_is_well(written, but=[QUIET])
    for fifth in range(50):
        for attempt in range(tries):
            written.call(12 + fifth / 5 + attempt / 20, 40, link=PAY, attempt=attempt)
    return written.read()


def test_calls_that_are_tried_once_pass(new_run):
    recording = all_is_well(new_run(CHECK)).read()
    assert told(recording, "retries") == [
        (PAY, "pass", "1.00 times as many calls a span as in the baseline (80 for 80 spans)")
    ]


def test_a_retry_storm_fails_with_the_spans_that_made_it(new_run):
    recording = numbered(new_run(CHECK), tries=3)
    assert told(recording, "retries") == [(PAY, "fail", "3.00 attempts a call (150 for 50)")]
    assert found(recording, "retries")[0].evidence


def test_attempts_without_numbers_are_counted_by_the_span_that_made_them(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    for fifth in range(50):
        trace, parent = written.new_id(16), written.new_id(8)
        for attempt in range(3):
            written.span(trace, "orders", "client", 12 + fifth / 5 + attempt / 20, 40, parent=parent, link=PAY)
    assert told(written.read(), "retries") == [
        (PAY, "fail", "3.00 times as many calls a span as in the baseline (150 for 50 spans)")
    ]


def test_a_caller_that_numbers_its_attempts_may_call_twice_from_one_span(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    written.metric(5, "orders", "resilience_retry_attempts_total", 4, link=PAY, attempt="0")
    for fifth in range(50):
        trace, parent = written.new_id(16), written.new_id(8)
        for moment in (0, 0.05):
            written.span(trace, "orders", "client", 12 + fifth / 5 + moment, 40, parent=parent, link=PAY)
    assert told(written.read(), "retries") == [(PAY, "pass", "1.00 attempts a call (100 for 100)")]


def test_a_handful_of_calls_decides_nothing(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    for attempt in range(3):
        written.call(13 + attempt / 10, 40, link=PAY, attempt=attempt)
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_no_call_at_all_is_not_felt(new_run):
    (finding,) = found(all_is_well(new_run(CHECK), but=[QUIET]).read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_FELT)
