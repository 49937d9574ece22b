"""A recording that is not whole decides nothing where a check stands on what is missing."""

import json

import pytest

from harness.checks.judge import judge
from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Table
from tests.checks.stories import (
    ACME_CHECKOUT,
    SLIGHT,
    all_is_well,
    calm_load,
    found,
    hang_contained,
    hang_uncontained,
    told,
)
from tests.recordings import LINK, Stretch

LOST = (Status.UNKNOWN, Cause.TELEMETRY_LOST)
BROWSE = {"objective": {"flow": "browse", "errors": "< 0.5%", "p95": "< 250ms"}}
RETRIES = {"retries": {"link": "orders -> payments", "amplification": "<= 1.3"}}
BREAKER = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}
LEDGER = {"integrity": {"ledger": "orders"}}
FEW_CHECKOUTS = Stretch(2.5, 32, None, "checkout")


def head(written):
    verdict = judge(written.read())
    return verdict.status, verdict.cause


def of(written, check):
    return {(f.status, f.cause) for f in found(written.read(), check)}


# -- requests ----------------------------------------------------------------------------------------------------------


def loaded(written, *, sent, **more):
    """All is well, and the generator says how many it sent."""
    all_is_well(written)
    written.event(34, Kind.LOAD_ENDED, arrivals=sent, sent=sent, late=0, dropped=0, code=0, **more)
    return written


def test_as_many_rows_as_were_sent_are_whole(new_run):
    assert told(loaded(new_run(BROWSE, faults=SLIGHT), sent=640).read(), "recording_whole") == [
        ("requests", "pass", "100.0%")
    ]


@pytest.mark.parametrize("sent", [647, 660, 1280])
def test_rows_that_are_missing_decide_nothing(new_run, sent):
    written = loaded(new_run(BROWSE, faults=SLIGHT), sent=sent)
    assert head(written) == LOST
    assert of(written, "objective") == {LOST}


def test_more_rows_than_were_counted_are_no_loss(new_run):
    assert head(loaded(new_run(BROWSE, faults=SLIGHT), sent=1))[0] is Status.PASS


def test_a_pair_that_is_whole_is_judged_where_the_generator_counts_by_pair(new_run):
    by_pair = [["globex", "browse", "fault", 80], ["acme", "browse", "fault", 60]]
    written = loaded(new_run(BROWSE, faults=SLIGHT), sent=660, by_pair=json.dumps(by_pair))
    by_tenant = {(f.tenant, f.status) for f in found(written.read(), "objective")}
    assert by_tenant == {("acme", Status.PASS), ("globex", Status.UNKNOWN)}


def test_a_failure_by_what_is_there_stays(new_run):
    written = new_run(BROWSE, faults=SLIGHT)
    all_is_well(written, but=[Stretch(12, 22, "globex", "browse")])
    written.requests("globex", "browse", 12, 22, rate=6, status=500)
    written.event(34, Kind.LOAD_ENDED, arrivals=660, sent=660, late=0, dropped=0, code=0)
    failed = [f.subject for f in found(written.read(), "objective") if f.status is Status.FAIL]
    assert failed == ["globex browse errors"]
    assert head(written) == LOST  # whether it was steady before is not known


def test_a_failure_that_the_missing_rows_may_outweigh_does_not(new_run):
    written = new_run(BROWSE, faults=SLIGHT)
    all_is_well(written, but=[Stretch(12, 22, "globex", "browse")])
    written.requests("globex", "browse", 12, 22, rate=6, status=500)
    written.event(34, Kind.LOAD_ENDED, arrivals=900, sent=900, late=0, dropped=0, code=0)
    assert of(written, "objective") == {LOST}


def test_requests_that_only_the_entry_saw_are_missing(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    for number in range(20):
        written.trace(written.new_id(16), ("gateway", "catalog"), 13 + number / 4, 20, tenant="acme", failed=True)
    assert of(written, "objective") == {LOST}


def test_a_request_that_was_recorded_twice_counts_once(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT), but=[Stretch(12, 13, "globex", "browse")])
    for number in range(6):
        trace = written.request("globex", "browse", 12.1 + number / 6, status=500)
        for _ in range(3):
            written.request("globex", "browse", 12.1 + number / 6, status=500, trace=trace, chain=())
    assert found(written.read(), "objective")[2].samples == 60


def test_a_segment_that_is_gone_is_missed(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    recording = written.read()
    segment = next((written.run / "requests").glob("*.parquet"))
    segment.rename(segment.with_name(segment.name.replace("00000", "00001")))
    assert {(f.status, f.cause) for f in found(recording, "objective")} == {LOST}


# -- spans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 60, 5000])
def test_spans_that_the_recorder_lost_leave_retries_undecided_beyond_one_percent(new_run, count):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT))
    written.event(33, Kind.TELEMETRY_LOST, what="spans", count=count)
    assert of(written, "retries") == ({(Status.NOT_EXERCISED, None)} if count == 1 else {LOST})


def test_what_does_not_stand_on_spans_is_judged_without_them(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    written.event(33, Kind.TELEMETRY_LOST, what="spans", count=5000)
    assert head(written)[0] is Status.PASS
    account = [f for f in found(written.read(), "recording_whole") if f.subject == "spans"]
    assert [(f.status, f.severity) for f in account] == [(Status.UNKNOWN, Severity.WARNING)]


def test_a_target_without_any_spans_has_lost_none(new_run):
    written = new_run(BROWSE, faults=SLIGHT)
    calm_load(written, chain=())
    written.fault_of_the_plan()
    assert head(written)[0] is Status.PASS


def test_retries_that_are_there_fail_all_the_same(new_run):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[Stretch(12, 22, None, "checkout")])
    for fifth in range(50):
        for attempt in range(3):
            written.call(12 + fifth / 5 + attempt / 20, 40, link="orders -> payments", attempt=attempt)
    written.event(33, Kind.TELEMETRY_LOST, what="spans", count=500)
    assert of(written, "retries") == {(Status.FAIL, None)}


@pytest.mark.parametrize("what", ["spans", "span events", "trace exports"])
def test_a_breaker_that_never_opened_may_have_opened_among_what_was_lost(new_run, what):
    written = hang_uncontained(new_run(BREAKER))
    written.event(33, Kind.TELEMETRY_LOST, what=what, count=500)
    assert of(written, "breaker") == {LOST}


def test_a_service_that_stops_exporting_while_its_callers_go_on_is_missed(new_run):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[Stretch(12, 22, None, "checkout")])
    for tenant in ("acme", "globex"):
        for number in range(40):
            at_s = 12.1 + number / 4
            trace = written.request(tenant, "checkout", at_s, chain=("gateway", "orders"))
            orders = written.span(trace, "orders", "server", at_s, 80, parent=None)
            written.span(trace, "orders", "client", at_s, 60, parent=orders, link="orders -> payments")
    assert of(written, "retries") == {LOST}


def test_client_spans_that_are_gone_below_their_servers_are_missed(new_run):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[Stretch(12, 22, "acme", "checkout")])
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, chain=("gateway", "orders"))
        written.span(trace, "payments", "server", at_s, 60, parent=written.new_id(8))
    assert of(written, "retries") == {(Status.UNKNOWN, Cause.SOURCES_DISAGREE)}


def test_calls_that_failed_need_not_have_arrived(new_run):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[ACME_CHECKOUT])
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, status=504, chain=("gateway", "orders"))
        orders = written.span(trace, "orders", "server", at_s, 80)
        written.span(trace, "orders", "client", at_s, 60, parent=orders, link="orders -> payments", failed=True)
    assert of(written, "retries") == {(Status.PASS, None)}


def test_a_span_that_was_exported_twice_counts_once(new_run):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[Stretch(12, 22, None, "checkout")])
    parent = written.new_id(8)
    for fifth in range(50):
        row = (written.new_id(16), written.new_id(8), parent, "orders", "c", "client")
        times = (1_780_000_000_000_000_000 + (12_000 + fifth * 190) * 1_000_000,) * 2
        for _ in range(3):
            written.row(Table.SPANS, *row, *times, "ok", None, "orders -> payments", 0, 200, None, None)
    written.metric(5, "orders", "resilience_retry_attempts_total", 4, link="orders -> payments", attempt="0")
    assert told(written.read(), "retries") == [
        ("orders -> payments", "not exercised", "1.00 attempts a call (50 for 50)")
    ]


def test_what_a_kill_takes_along_is_no_loss(new_run):
    written = new_run(RETRIES, faults=[{"service": "payments", "kill": True}], blast_radius={})
    all_is_well(written, but=[Stretch(11, 12, None, "checkout")])
    for number in range(8):
        at_s = 11.1 + number / 9
        trace = written.request(("acme", "globex")[number % 2], "checkout", at_s, chain=("gateway", "orders"))
        orders = written.span(trace, "orders", "server", at_s, 80)
        written.span(trace, "orders", "client", at_s, 60, parent=orders, link="orders -> payments")
    assert "spans" not in {f.subject for f in found(written.read(), "recording_whole")}


# -- ledgers -----------------------------------------------------------------------------------------------------------


def kept(written, writes):
    """Ten checkouts of each tenant were acknowledged; *writes* of them are in the ledger, and were read back."""
    all_is_well(written, but=[FEW_CHECKOUTS])
    for tenant in ("acme", "globex"):
        for number in range(writes):
            for kind in ("invoke", "ok", "read"):
                written.ledger(kind, tenant, f"{tenant}-{number}")
        written.ledger_read(tenant)
    return written


def test_acknowledged_requests_that_the_ledger_does_not_have_decide_nothing(new_run):
    assert of(kept(new_run(LEDGER, faults=SLIGHT), 10), "integrity") == {(Status.PASS, None)}


def test_half_a_ledger_decides_nothing(new_run):
    assert of(kept(new_run(LEDGER, faults=SLIGHT), 5), "integrity") == {LOST}


def test_an_acknowledged_write_that_is_missing_is_lost_all_the_same(new_run):
    written = kept(new_run(LEDGER, faults=SLIGHT), 5)
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "gone")
    assert {(f.tenant, f.status) for f in found(written.read(), "integrity")} == {
        ("acme", Status.FAIL),
        ("globex", Status.UNKNOWN),
    }


def test_rows_that_were_read_back_and_are_not_recorded_prove_no_loss(new_run):
    written = kept(new_run(LEDGER, faults=SLIGHT), 9)
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "gone")
    written.event(34, Kind.LEDGER_READ, ledger="orders", tenant="acme", keys=10, complete=True, cause=None)
    acme = next(f for f in found(written.read(), "integrity") if f.tenant == "acme")
    assert (acme.status, acme.cause) == LOST


# -- events, metrics, services, clocks ---------------------------------------------------------------------------------


def test_lines_of_events_that_cannot_be_read_are_missing(new_run):
    written = hang_contained(new_run(BREAKER))
    recording = written.read()
    with (written.run / "events.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"time": 17800000\n' * 3)
    assert {(f.status, f.cause) for f in found(recording, "breaker")} == {LOST}


def test_a_service_without_metrics_for_some_seconds_is_a_warning(new_run):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    for second in range(32):
        written.metric(second, "orders", "up", 0.0 if 14 <= second < 18 else 1.0)
    assert head(written)[0] is Status.PASS
    (gap,) = [f for f in found(written.read(), "recording_whole") if f.subject == "metrics of orders"]
    assert (gap.status, gap.severity, gap.value) == (Status.FAIL, Severity.WARNING, "1 gap")


@pytest.mark.parametrize(
    ("at_s", "code", "status"),
    [(5, 1, Status.UNKNOWN), (15, 1, Status.FAIL), (15, -9, Status.UNKNOWN), (25, 139, Status.FAIL)],
)
def test_a_service_that_exits_unasked_never_passes(new_run, at_s, code, status):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    written.event(at_s, Kind.PROCESS_EXITED, service="catalog", pid=7, code=code, expected=False)
    assert head(written)[0] is status


@pytest.mark.parametrize("expected", [True, None])
def test_a_service_that_was_meant_to_exit_or_of_which_nobody_says_so_is_fine(new_run, expected):
    written = all_is_well(new_run(BROWSE, faults=SLIGHT))
    written.event(15, Kind.PROCESS_EXITED, service="catalog", pid=7, code=0, expected=expected)
    assert head(written)[0] is Status.PASS


def test_an_exit_that_a_fault_on_the_service_explains_is_its_work(new_run):
    written = new_run(BROWSE, faults=[{"service": "catalog", "kill": True}], blast_radius={})
    all_is_well(written)
    written.event(12.1, Kind.PROCESS_EXITED, service="catalog", pid=7, code=-9, expected=False)
    assert found(written.read(), "services_stayed_up") == []


@pytest.mark.parametrize("off_s", [-2.0, 0.1, 2.0])
def test_a_clock_that_is_off_is_told_and_corrected(new_run, off_s):
    written = all_is_well(new_run(RETRIES, faults=SLIGHT), but=[Stretch(0, 32, None, "checkout")])
    for tenant in ("acme", "globex"):
        for number in range(128):
            at_s = number / 4 + 0.1
            trace = written.request(tenant, "checkout", at_s, chain=("gateway",))
            call = written.span(trace, "gateway", "client", at_s, 90, link="gateway -> orders")
            orders = written.span(trace, "orders", "server", at_s + off_s, 90, parent=call)
            inner = written.span(trace, "orders", "client", at_s + off_s, 80, parent=orders, link="orders -> payments")
            written.span(trace, "payments", "server", at_s, 80, parent=inner)
    recording = written.read()
    clocks = [(f.subject, f.value) for f in found(recording, "recording_whole") if f.subject.startswith("clock")]
    side = "ahead of" if off_s > 0 else "behind"
    assert clocks == ([] if abs(off_s) < 0.25 else [("clock of orders", f"2.0 s {side} the harness")])
    assert found(recording, "retries")[0].samples == 80
