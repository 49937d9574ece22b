import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Table
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found, hang_contained, hang_uncontained, told
from tests.recordings import LINK, Stretch, at

COMPLETE = {"trace": {"complete": ">= 99%"}}
BLAMES = {"trace": {"blames": LINK}}


def test_whole_traces_pass(new_run):
    assert told(all_is_well(new_run(COMPLETE)).read(), "trace") == [("complete traces", "pass", "100%")]


def torn(written, **how):
    all_is_well(written, but=[Stretch(12, 22, "globex", "browse")])
    return written, written.requests("globex", "browse", 12, 22, rate=6, **how)


def test_requests_without_any_span_fail_it(new_run):
    written, traces = torn(new_run(COMPLETE), chain=())
    (finding,) = found(written.read(), "trace")
    assert finding.status is Status.FAIL
    assert {line.trace_id for line in finding.evidence} <= {trace.hex() for trace in traces}


def test_a_trace_that_the_entry_service_did_not_see_is_torn(new_run):
    written, _ = torn(new_run(COMPLETE), chain=("catalog",))
    assert found(written.read(), "trace")[0].status is Status.FAIL


def test_a_span_whose_parent_is_missing_tears_its_trace(new_run):
    written, traces = torn(new_run(COMPLETE))
    for trace in traces:
        written.span(trace, "catalog", "server", 15, 3, parent=written.new_id(8))
    assert found(written.read(), "trace")[0].status is Status.FAIL


def test_requests_that_got_no_answer_are_not_held_against_it(new_run):
    written, _ = torn(new_run(COMPLETE), status=0, error="timeout", chain=())
    assert told(written.read(), "trace") == [("complete traces", "pass", "100%")]


def test_without_any_spans_nothing_is_known(new_run):
    written = new_run(COMPLETE)
    written.load_as_planned(chain=())
    (finding,) = found(written.read(), "trace")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_a_callee_that_hangs_is_blamed_on_the_call_to_it(new_run):
    assert told(hang_uncontained(new_run(BLAMES)).read(), "trace")[1] == (f"blames {LINK}", "pass", "100%")


def test_trouble_elsewhere_fails_it(new_run):
    written = new_run(BLAMES)
    all_is_well(written, but=[ACME_CHECKOUT])
    chain = ("gateway", "orders")
    traces = written.requests("acme", "checkout", 12, 22, rate=4, status=504, latency_ms=1500, chain=chain)
    finding = found(written.read(), "trace")[1]
    assert (finding.status, finding.value, finding.samples) == (Status.FAIL, "0%", 40)
    assert {line.trace_id for line in finding.evidence} <= {trace.hex() for trace in traces}


def test_a_call_that_outlasts_its_callee_blames_the_link(new_run):
    written = new_run(BLAMES)
    all_is_well(written, but=[ACME_CHECKOUT])
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, status=504, latency_ms=1500, chain=("gateway",))
        call = written.span(trace, "payments", "client", at_s, 1400, link=LINK, failed=True)
        written.span(trace, "provider-a", "server", at_s, 5, parent=call)
    assert told(written.read(), "trace")[1] == (f"blames {LINK}", "pass", "100%")


def test_calls_refused_by_the_links_breaker_blame_it(new_run):
    written = new_run(BLAMES)
    all_is_well(written, but=[ACME_CHECKOUT])
    refused = {"name": "resilience.breaker.refused", "attributes": {"resilience.breaker.name": LINK}}
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, status=503, latency_ms=12, chain=("gateway", "orders"))
        written.span(trace, "payments", "internal", at_s, 1, events=[refused])
    assert told(written.read(), "trace")[1] == (f"blames {LINK}", "pass", "100%")


def test_refusals_that_only_the_event_log_knows_count_too(new_run):
    subject, status, value = told(hang_contained(new_run(BLAMES)).read(), "trace")[1]
    assert (subject, status, value) == (f"blames {LINK}", "pass", "100%")


def test_quick_failures_blame_the_deepest_call_that_failed(new_run):
    written = new_run(BLAMES)
    all_is_well(written, but=[ACME_CHECKOUT])
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, status=503, latency_ms=40, chain=("gateway",))
        outer = written.span(trace, "orders", "client", at_s, 3, link="orders -> payments", failed=True)
        inner = written.span(trace, "payments", "server", at_s, 2, parent=outer, failed=True)
        written.span(trace, "payments", "client", at_s, 1, parent=inner, link=LINK, failed=True)
    assert told(written.read(), "trace")[1] == (f"blames {LINK}", "pass", "100%")


def test_where_nobody_was_hurt_there_is_nobody_to_blame(new_run):
    finding = found(all_is_well(new_run(BLAMES)).read(), "trace")[1]
    assert (finding.status, finding.samples) == (Status.NOT_EXERCISED, 0)


@pytest.mark.parametrize(
    ("answers", "untraceable", "status"), [(40, 0, Status.PASS), (40, 3, Status.FAIL), (0, 0, Status.NOT_EXERCISED)]
)
def test_error_answers_must_name_their_trace(new_run, answers, untraceable, status):
    written = all_is_well(new_run({"trace": {"errors_name_it": ">= 99%"}}))
    written.event(33, Kind.LOAD_ENDED, error_answers=answers, untraceable=untraceable)
    finding = next(f for f in found(written.read(), "trace") if f.subject == "errors name their trace")
    assert (finding.status, finding.value) == (status, f"{answers - untraceable} of {answers} error answers")


def test_a_handful_of_hurt_requests_blames_nobody(new_run):
    written = all_is_well(new_run(BLAMES), but=[Stretch(12, 13, "acme", "checkout")])
    written.requests("acme", "checkout", 12, 13, rate=4, status=504, latency_ms=1500, chain=("gateway", "orders"))
    finding = found(written.read(), "trace")[1]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_hurt_requests_without_any_trace_blame_nobody(new_run):
    written = all_is_well(new_run(BLAMES), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 22, rate=4, status=504, latency_ms=1500, chain=())
    finding = found(written.read(), "trace")[1]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_failed_requests_without_traces_are_not_hidden_by_many_good_ones(new_run):
    load = {tenant: {"browse": 60, "checkout": 4} for tenant in ("acme", "globex")}
    written = new_run(COMPLETE, load=load)
    all_is_well(written, but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 14, rate=4, status=504, latency_ms=1500, chain=())
    (finding,) = found(written.read(), "trace")
    assert (finding.status, finding.value) == (Status.FAIL, "0% of the 8 that failed under the fault; 99.8% of all")


def test_a_request_that_was_sent_without_a_trace_id_has_no_trace(new_run):
    written = all_is_well(new_run(COMPLETE), but=[Stretch(12, 22, "globex", "browse")])
    for number in range(60):
        due = at(12 + number / 6)
        row = ("globex", "browse", "list", due, due + 10**6, due + 2 * 10**7, 200, "ok", None, None, 512, False, None)
        written.row(Table.REQUESTS, *row)
    assert found(written.read(), "trace")[0].status is Status.FAIL
