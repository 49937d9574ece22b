from harness.model.result.finding import Cause, Status
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
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)


# -- pauses ------------------------------------------------------------------------------------------------------------

PAUSES = {"retries": {"link": PAY, "amplification": "<= 5", "backoff": {"first": "50ms", "longest": "100ms"}}}


def paused(written, pause_s):
    """Write calls that are tried three times, *pause_s*(call, attempt) apart."""
    all_is_well(written, but=[QUIET])
    for call in range(40):
        trace, parent = written.new_id(16), written.new_id(8)
        start_s = 12 + call / 5
        for attempt in range(3):
            start_s += pause_s(call, attempt) if attempt else 0
            about = {"parent": parent, "link": PAY, "attempt": attempt}
            written.span(trace, "orders", "client", start_s, 10, **about)
            start_s += 0.010
    return next(f for f in found(written.read(), "retries") if f.subject.endswith("pauses"))


def evenly(call, attempt, ceiling_s):
    return ceiling_s(attempt) * ((call * 7 + attempt * 3) % 40) / 40


def test_pauses_of_full_jitter_pass(new_run):
    finding = paused(new_run(PAUSES), lambda call, attempt: evenly(call, attempt, lambda n: 0.05 * n))
    assert (finding.status, finding.samples) == (Status.PASS, 80)


def test_a_span_that_makes_several_calls_mixes_no_pauses(new_run):
    written = all_is_well(new_run(PAUSES), but=[QUIET])
    for call in range(40):
        trace, parent, start_s = written.new_id(16), written.new_id(8), 12 + call / 5
        pause_s = 0.05 * (call % 20) / 20
        for attempt, at_s in ((0, start_s), (1, start_s + 0.01 + pause_s), (0, start_s + 0.09)):
            written.span(trace, "orders", "client", at_s, 10, parent=parent, link=PAY, attempt=attempt)
    pauses = next(f for f in found(written.read(), "retries") if f.subject.endswith("pauses"))
    assert (pauses.status, pauses.samples) == (Status.PASS, 40)


def test_pauses_that_are_always_the_same_fail(new_run):
    assert paused(new_run(PAUSES), lambda call, attempt: 0.025 * attempt).status is Status.FAIL


def test_pauses_beyond_their_ceiling_fail(new_run):
    finding = paused(new_run(PAUSES), lambda call, attempt: evenly(call, attempt, lambda n: 0.2 * n))
    assert finding.status is Status.FAIL


def test_no_pauses_at_all_fail(new_run):
    assert paused(new_run(PAUSES), lambda call, attempt: 0.001).status is Status.FAIL


def test_without_retries_pauses_are_not_decided(new_run):
    written = all_is_well(new_run(PAUSES), but=[QUIET])
    for fifth in range(50):
        written.call(12 + fifth / 5, 40, link=PAY)
    pauses = next(f for f in found(written.read(), "retries") if f.subject.endswith("pauses"))
    assert (pauses.status, pauses.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
