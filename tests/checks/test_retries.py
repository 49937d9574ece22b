import itertools

import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
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


def failing(written, tries, *, every=1, tenant="acme", at_s=12.0, number=True, length_s=10.0):
    """Write five calls a second; each *every*-th fails until its last try, the others go well at once."""
    for fifth in range(round(length_s * 5)):
        trace, parent, start_s = written.new_id(16), written.new_id(8), at_s + fifth / 5
        made = tries if fifth % every == 0 else 1
        for attempt in range(made):
            about = {"parent": parent, "link": PAY, "attempt": attempt if number else 0, "tenant": tenant}
            written.span(trace, "orders", "client", start_s + attempt / 20, 40, failed=attempt + 1 < made, **about)


def test_few_retries_pass(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 2, every=5)
    assert told(written.read(), "retries") == [(PAY, "pass", "1.20 attempts a call (60 for 50)")]


def test_where_no_attempt_failed_no_retry_policy_was_put_to_the_test(new_run):
    recording = all_is_well(new_run(CHECK)).read()
    assert told(recording, "retries") == [
        (PAY, "not exercised", "1.00 times as many calls a span as in the baseline (80 for 80 spans)")
    ]


def test_a_storm_of_one_tenant_is_not_hidden_by_the_calls_of_others(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 3, tenant="acme")
    for _ in range(20):
        failing(written, 1, tenant="globex")
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.value) == (Status.FAIL, "3.00 attempts a call of acme (150 for 50)")


def test_a_storm_of_two_seconds_is_not_hidden_by_the_healthy_rest(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 5, length_s=2)
    for _ in range(5):
        failing(written, 1, at_s=16, length_s=6)
    assert found(written.read(), "retries")[0].status is Status.FAIL


def test_two_calls_that_are_tried_thirty_times_do_not_pass(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 30, length_s=0.4)
    for _ in range(20):
        failing(written, 1, at_s=12.4, length_s=9.6, tenant="globex")
    assert found(written.read(), "retries")[0].status in (Status.UNKNOWN, Status.FAIL)


def test_a_library_that_repeats_below_the_policy_is_seen_at_the_callee(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    for fifth in range(50):
        call = written.new_id(16)
        span = written.span(call, "orders", "client", 12 + fifth / 5, 80, link=PAY)
        for again in range(3):
            written.span(call, "payments", "server", 12 + fifth / 5 + again / 50, 10, parent=span)
    assert told(written.read(), "retries") == [
        (
            PAY,
            "fail",
            "3.00 times as many calls a span as in the baseline "
            "(150 for 50 spans, 100 of them seen by the callee alone)",
        )
    ]


def test_a_doubled_export_counts_once(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 2, every=5)
    same, written._ids = written._ids, itertools.count(50_000)
    for _ in range(2):
        written._ids = itertools.count(60_000)
        failing(written, 2, every=5)
    written._ids = same
    assert told(written.read(), "retries") == [(PAY, "pass", "1.20 attempts a call (120 for 100)")]


def counter(written, first, again):
    """Let the caller's own counter grow by these under the fault."""
    for second in range(32):
        share = min(1.0, max(0.0, (second - 12) / 9))
        for attempt, count in (("0", first), ("1", again)):
            written.metric(
                second, "orders", "resilience_retry_attempts_total", share * count, link=PAY, attempt=attempt
            )


def test_attempts_whose_spans_were_lost_are_told_by_the_callers_counter(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 2, every=5)
    counter(written, 45, 60)
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert (
        finding.value == "1.20 attempts a call (60 for 50); sources disagree: 54 attempts by spans, 105 by the metric"
    )


def test_a_counter_that_agrees_decides_nothing_new(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 2, every=5)
    counter(written, 45, 9)
    assert found(written.read(), "retries")[0].status is Status.PASS


def test_without_spans_the_counter_decides_alone_and_says_so(new_run):
    written = new_run(CHECK)
    written.load_as_planned(chain=())
    written.fault_of_the_plan()
    counter(written, 40, 60)
    assert told(written.read(), "retries") == [(PAY, "fail", "2.50 attempts a call (100 for 40, by metrics alone)")]


def test_requests_that_the_proxy_hit_and_no_span_shows_are_told(new_run):
    written = new_run(CHECK, faults=[{"link": PAY, "answer": {"status": 503}}])
    written.load_as_planned(but=[QUIET])
    failing(written, 2, every=5)
    written.event(12, Kind.FAULT_APPLIED, fault="fault-1")
    written.event(22, Kind.FAULT_OBSERVED, fault="fault-1", requests=180)
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)


def test_requests_that_the_callee_served_and_nobody_claims_are_told(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 2, every=5)
    for tenth in range(100):
        written.span(written.new_id(16), "payments", "server", 12 + tenth / 10, 10, parent=written.new_id(8))
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)


def test_attempts_that_all_call_themselves_the_first_are_told_by_the_span_that_made_them(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    failing(written, 4, number=False)
    written.metric(5, "orders", "resilience_retry_attempts_total", 4, link=PAY, attempt="0")
    (finding,) = found(written.read(), "retries")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)


def test_a_span_that_gives_up_early_does_not_hide_that_it_tried_again(new_run):
    written = all_is_well(new_run(CHECK), but=[Stretch(0, 32, None, "checkout")])
    for tenth in range(80):
        trace, parent = written.new_id(16), written.new_id(8)
        for number in range(3):
            written.span(trace, "orders", "client", 2 + tenth / 10 + number / 100, 5, parent=parent, link=PAY)
    failing(written, 3, number=False)
    assert found(written.read(), "retries")[0].status is Status.FAIL


def test_attempts_that_each_have_a_span_of_their_own_above_are_counted_by_their_trace(new_run):
    written = all_is_well(new_run(CHECK), but=[QUIET])
    for fifth in range(50):
        trace = written.new_id(16)
        for attempt in range(3):
            parent, at_s = written.new_id(8), 12 + fifth / 5 + attempt / 20
            written.span(trace, "orders", "client", at_s, 40, parent=parent, link=PAY, failed=attempt < 2)
    assert found(written.read(), "retries")[0].status is Status.FAIL


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
    assert told(written.read(), "retries") == [(PAY, "not exercised", "1.00 attempts a call (100 for 100)")]


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


def test_without_retries_pauses_were_not_put_to_the_test(new_run):
    written = all_is_well(new_run(PAUSES), but=[QUIET])
    for fifth in range(50):
        written.call(12 + fifth / 5, 40, link=PAY)
    pauses = next(f for f in found(written.read(), "retries") if f.subject.endswith("pauses"))
    assert pauses.status is Status.NOT_EXERCISED


def test_a_handful_of_pauses_decides_nothing(new_run):
    written = all_is_well(new_run(PAUSES), but=[QUIET])
    failing(written, 2, every=10)
    pauses = next(f for f in found(written.read(), "retries") if f.subject.endswith("pauses"))
    assert (pauses.status, pauses.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


@pytest.mark.parametrize(("tries", "status"), [(30, Status.FAIL), (3, Status.PASS)])
def test_a_call_that_is_tried_without_end_fails_among_any_number_of_good_ones(new_run, tries, status):
    written = all_is_well(new_run({"retries": {"link": PAY, "amplification": "<= 1.3"}}), but=[QUIET])
    for call in range(300):
        written.call(12 + call / 31, 10, link=PAY)
    trace, parent = written.new_id(16), written.new_id(8)
    for attempt in range(tries):
        failed = attempt + 1 < tries
        about = {"parent": parent, "link": PAY, "attempt": attempt, "failed": failed}
        written.span(trace, "orders", "client", 14 + attempt / 50, 10, **about)
    assert found(written.read(), "retries")[0].status is status
