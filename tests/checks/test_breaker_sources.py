"""Breakers of which several sources tell: processes, classes of tenants, events, metrics, and the calls themselves."""

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import ACME_CHECKOUT, OPENED_S, REFUSED_CHAIN, all_is_well, found, hang_contained
from tests.recordings import FAULT_S, LINK, RECOVERY_S, Stretch

CHECK = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}
REFUSED = {"status": 503, "latency_ms": 12, "chain": REFUSED_CHAIN, "retry_after": True}


def only(written):
    (finding,) = found(written.read(), "breaker")
    return finding


def silent_hang(written, *, until_s=RECOVERY_S, chain=REFUSED_CHAIN, opened_s=OPENED_S):
    """The hang is contained, and no event, metric or refusal says by what."""
    all_is_well(written, but=[Stretch(FAULT_S, until_s, "acme", "checkout")])
    written.requests("acme", "checkout", FAULT_S, opened_s, rate=4, status=504, latency_ms=1500)
    written.requests("acme", "checkout", opened_s, until_s, rate=4, **{**REFUSED, "chain": chain})
    return written


# -- what only the calls tell ------------------------------------------------------------------------------------------


def test_a_breaker_that_tells_nothing_is_judged_by_its_calls(new_run):
    finding = only(silent_hang(new_run(CHECK)))
    assert (finding.status, finding.value) == (
        Status.PASS,
        "opened after 1.4 s, refused 0 of 6, closed 0.1 s after the fault (by calls alone)",
    )


def test_calls_that_stop_too_late_fail(new_run):
    finding = only(silent_hang(new_run(CHECK), opened_s=18))
    assert (finding.status, finding.reason) == (Status.FAIL, "It opened after 5.9 s, not within 4 s.")


def test_calls_that_never_come_back_fail(new_run):
    finding = only(silent_hang(new_run(CHECK), until_s=32))
    assert (finding.status, finding.reason) == (Status.FAIL, "It was not closed when the run ended.")


def test_calls_that_stop_while_the_callers_own_spans_are_missing_too_show_no_breaker(new_run):
    finding = only(silent_hang(new_run(CHECK), chain=("gateway", "orders")))
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_calls_that_stop_because_nobody_asks_show_no_breaker(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, OPENED_S, rate=4, status=504, latency_ms=1500)
    assert only(written).status is Status.UNKNOWN


def test_calls_that_hang_in_a_full_pool_are_not_silent(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, FAULT_S + 1, rate=4, status=504, latency_ms=9500)
    written.requests("acme", "checkout", FAULT_S + 1, RECOVERY_S, rate=4, **REFUSED)
    assert only(written).status is not Status.PASS


def test_probes_between_silences_are_no_closing(new_run):
    written = silent_hang(new_run(CHECK))
    written.call(16, 700, failed=True)
    written.call(19, 700, failed=True)
    assert only(written).status is Status.PASS


def test_bursts_between_silences_fail(new_run):
    written = silent_hang(new_run(CHECK))
    for number in range(6):
        written.call(17 + number / 20, 700, failed=True)
    finding = only(written)
    assert (finding.status, finding.reason) == (
        Status.FAIL,
        "It closed under the fault although no call had succeeded.",
    )


def test_calls_that_stop_although_the_metric_says_closed_are_told(new_run):
    written = silent_hang(new_run(CHECK))
    for second in range(32):
        written.metric(second, "payments", "resilience_breaker_state", 0, name=LINK)
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert finding.value.endswith("(by calls alone); sources disagree: it told of no opening, its calls stopped")


def test_calls_that_all_went_well_gave_it_no_reason_to_open(new_run):
    finding = only(all_is_well(new_run(CHECK)))
    assert (finding.status, finding.value) == (Status.NOT_EXERCISED, "never opened; 40 calls reached the link")


def test_a_few_calls_in_trouble_decide_nothing(new_run):
    written = all_is_well(new_run(CHECK))
    for number in range(3):
        written.call(17 + number, 900, failed=True)
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


# -- what was so before the fault --------------------------------------------------------------------------------------


def test_a_breaker_that_was_open_before_the_fault_shows_nothing(new_run):
    written = silent_hang(new_run(CHECK))
    written.breaker((8, "open"), (14, "half_open"), (14.5, "open"), (22.5, "half_open"), (23, "closed"))
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SICK_BASELINE)


def test_one_that_was_open_all_along_by_its_metric_shows_nothing(new_run):
    written = silent_hang(new_run(CHECK))
    for second in range(32):
        written.metric(second, "payments", "resilience_breaker_state", 2, name=LINK)
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SICK_BASELINE)


def test_one_that_opened_and_closed_again_before_the_fault_is_judged(new_run):
    written = hang_contained(new_run(CHECK))
    written.breaker((4, "open"), (6, "half_open"), (6.5, "closed"))
    assert only(written).status is Status.PASS


# -- several processes and classes -------------------------------------------------------------------------------------


def test_a_second_process_that_never_closes_fails(new_run):
    written = hang_contained(new_run(CHECK))
    written.event(13.6, Kind.BREAKER_CHANGED, service="payments-2", breaker=LINK, from_state="closed", to_state="open")
    finding = only(written)
    assert (finding.status, finding.value) == (
        Status.FAIL,
        "opened after 1.6 s, refused 34 of 40, not closed 10 s after the fault, the worst of 2 breakers",
    )


def test_a_second_process_under_the_same_name_is_told_from_the_first_by_its_changes(new_run):
    written = hang_contained(new_run(CHECK))
    written.breaker((13.6, "open"))
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert finding.value.endswith("not closed 10 s after the fault, the worst of 2 breakers")


def test_a_second_process_that_its_metric_tells_apart_and_that_never_closes_fails(new_run):
    written = silent_hang(new_run(CHECK))
    for second in range(32):
        for instance, closed_s in (("a", 23), ("b", 99)):
            state = 2 if OPENED_S <= second < closed_s else 0
            written.metric(second, "payments", "resilience_breaker_state", state, name=LINK, instance=instance)
    assert only(written).reason == "It was not closed when the run ended."


def test_a_second_process_that_never_opens_lets_the_calls_through(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, OPENED_S, rate=4, status=504, latency_ms=1500)
    written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=2, **REFUSED)
    written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=2, status=504, latency_ms=1500)
    written.breaker((OPENED_S, "open"), (22.5, "half_open"), (23, "closed"))
    assert only(written).status is Status.FAIL


def test_a_flow_that_waits_is_not_hidden_by_one_that_is_answered_at_once(new_run):
    chain = ("gateway", "orders", "payments", "provider-a")
    victims = {"acme": {"checkout": {}}, "globex": {"browse": {}}}
    written = hang_contained(
        new_run(CHECK, blast_radius=victims, load={"acme": {"checkout": 4}, "globex": {"browse": 0.1}})
    )
    written.requests("globex", "browse", 2, 12, rate=2, chain=chain)
    written.requests("globex", "browse", OPENED_S, RECOVERY_S, rate=2, latency_ms=2000, chain=REFUSED_CHAIN)
    assert only(written).status is Status.FAIL


def test_events_without_any_span_decide_alone_and_say_so(new_run):
    written = new_run(CHECK)
    written.load_as_planned(chain=(), but=[ACME_CHECKOUT])
    written.fault_of_the_plan()
    written.requests("acme", "checkout", FAULT_S, RECOVERY_S, rate=4, status=503, latency_ms=12, chain=())
    written.breaker((OPENED_S, "open"), (22.5, "half_open"), (23, "closed"))
    finding = only(written)
    assert (finding.status, finding.value) == (
        Status.PASS,
        "opened after 1.5 s, refused 0 of 0, closed 1.0 s after the fault (by events alone)",
    )


def test_the_breaker_of_a_class_of_tenants_that_opens_late_fails(new_run):
    written = hang_contained(new_run(CHECK))
    written.breaker((18, "open"), (22.5, "half_open"), (23, "closed"), link=f"{LINK} [gold]")
    finding = only(written)
    assert (finding.status, finding.reason) == (Status.FAIL, "It opened after 6.0 s, not within 4 s.")


def test_another_links_breaker_whose_name_begins_alike_does_not_count(new_run):
    written = hang_contained(new_run(CHECK))
    written.breaker((8, "open"), link=f"{LINK}-eu")
    assert only(written).status is Status.PASS


def test_a_tenant_whose_calls_no_breaker_stops_fails(new_run):
    written = hang_contained(new_run(CHECK))
    for number in range(6):
        written.call(14 + number, 700, failed=True, tenant="globex")
    finding = only(written)
    assert (finding.status, finding.reason) == (
        Status.FAIL,
        "6 calls reached the link while it was wide open. 6 calls of globex in trouble went on: no breaker stops them.",
    )


# -- what it does while it is open -------------------------------------------------------------------------------------


def test_many_calls_at_once_in_half_open_fail(new_run):
    written = hang_contained(new_run(CHECK))
    for number in range(6):
        written.call(20.1 + number / 100, 500, failed=True)
    finding = only(written)
    assert (finding.status, finding.reason) == (
        Status.FAIL,
        "6 calls at once tried the callee while it was half open.",
    )


def test_a_breaker_that_closes_by_itself_under_the_fault_fails(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, RECOVERY_S, rate=4, **REFUSED)
    for second in range(12, 22):
        written.call(second + 0.6, 300, failed=True)
    written.breaker(*((second + 0.5 * half, ("open", "closed")[half]) for second in range(13, 23) for half in (0, 1)))
    finding = only(written)
    assert (finding.status, finding.reason) == (
        Status.FAIL,
        "It closed under the fault although no call had succeeded.",
    )


def test_one_that_closes_after_a_call_that_went_well_passes(new_run):
    written = silent_hang(new_run(CHECK))
    written.call(16.1, 40)
    for number in range(4):
        written.call(16.3 + number / 10, 300, failed=True)
    written.breaker(
        (13.5, "open"), (16, "half_open"), (16.2, "closed"), (16.8, "open"), (22.5, "half_open"), (23, "closed")
    )
    assert only(written).status is Status.PASS


def test_quick_answers_of_a_flow_that_does_not_need_the_link_do_not_count(new_run):
    victims = {"acme": {"checkout": {}, "browse": {}}}
    written = new_run({"breaker": {**CHECK["breaker"], "refuses_within": "300ms"}}, blast_radius=victims)
    all_is_well(written, but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, OPENED_S, rate=4, status=504, latency_ms=1500)
    written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=4, **{**REFUSED, "latency_ms": 900})
    written.breaker((OPENED_S, "open"), (22.9, "half_open"), (23, "closed"))
    finding = only(written)
    assert (finding.status, finding.reason) == (
        Status.FAIL,
        "p50 of 34 requests while it was open: 900 ms, <= 300 ms asked for.",
    )


# -- sources that contradict each other --------------------------------------------------------------------------------


def test_events_that_the_metric_contradicts_decide_nothing(new_run):
    written = hang_contained(new_run(CHECK))
    for second in range(32):
        written.metric(second, "payments", "resilience_breaker_state", 0, name=LINK)
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert "sources disagree: not closed in " in finding.value


def test_a_metric_that_agrees_with_the_events_passes(new_run):
    written = hang_contained(new_run(CHECK))
    for second in range(32):
        state = 2 if OPENED_S <= second < 23 else 0
        written.metric(second, "payments", "resilience_breaker_state", state, name=LINK)
    assert only(written).status is Status.PASS


def test_events_that_were_lost_leave_the_metric_and_the_calls(new_run):
    written = silent_hang(new_run(CHECK))
    for second in range(32):
        state = 2 if OPENED_S <= second < 23 else 0
        written.metric(second, "payments", "resilience_breaker_state", state, name=LINK)
    finding = only(written)
    assert (finding.status, finding.value) == (
        Status.PASS,
        "opened after 2.0 s, refused 0 of 6, closed 1.0 s after the fault",
    )


def test_a_closing_that_was_lost_is_told_by_the_calls_that_came_back(new_run):
    written = silent_hang(new_run(CHECK))
    written.breaker((OPENED_S, "open"))
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert finding.reason.startswith("By its own word it was not closed when the run ended, yet its calls were back")


def test_a_closing_that_was_lost_before_it_opened_again_is_no_second_process_that_never_closed(new_run):
    written = silent_hang(new_run(CHECK))
    written.breaker((OPENED_S, "open"), (16, "half_open"))
    written.breaker((18, "open"), (22.5, "half_open"), (23, "closed"))
    finding = only(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)


def test_events_that_say_open_while_all_calls_go_on_fail(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, RECOVERY_S, rate=4, status=504, latency_ms=200)
    written.breaker((14, "open"), (22.5, "half_open"), (23, "closed"))
    assert only(written).status is Status.FAIL


def test_a_doubled_event_counts_once(new_run):
    written = hang_contained(new_run(CHECK))
    once = list(written._events)
    written._events += [event for event in once if event.kind is Kind.BREAKER_CHANGED]
    assert only(written).value == "opened after 1.5 s, refused 34 of 40, closed 1.0 s after the fault"
