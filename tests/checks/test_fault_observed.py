"""A fault counts as observed by its time, its strength, the calls that show it and those who met it."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Outcome
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found, hang_contained, hang_uncontained
from tests.recordings import LINK, Stretch, Written, at

FIRST = {"fault": "fault-1"}
REFUSED_CHAIN = ("gateway", "orders", "payments")


def latency(amount: str, **more: Any) -> list[dict[str, Any]]:
    return [{"link": LINK, "latency": amount, **more}]


def on_link(kind: str, value: Any = True, **more: Any) -> dict[str, Any]:
    return {"link": LINK, kind: value, **more}


def there(
    written: Written, begin_s: float = 12, end_s: float = 22, *, number: int = 1, by: str = "harness", **counted: Any
) -> None:
    """Write the events of a fault that was there from then to then."""
    about = {"fault": f"fault-{number}"}
    written.event(12, Kind.FAULT_ASKED, **about, kind="x", place="y")
    written.event(begin_s, Kind.FAULT_APPLIED, **about, kind="x", place="y")
    counts = {"connections": 6, "bytes": 4_000, "first_felt_ns": None, **counted}
    written.event(end_s, Kind.FAULT_OBSERVED, **about, **counts)
    written.event(end_s, Kind.FAULT_UNDONE, **about, by=by)


def load(written: Written, begin_s: float = 12, end_s: float = 22, **acme: Any) -> None:
    """Write the load, in which acme's checkouts are like *acme* while the fault is there."""
    written.load_as_planned(but=[Stretch(begin_s, end_s, "acme", "checkout")])
    written.requests("acme", "checkout", begin_s, end_s, rate=4, **acme)


def timed_out(written: Written, **more: Any) -> None:
    load(written, status=504, latency_ms=1500, **more)


def finding_of(written: Written, number: int = 0) -> Any:
    return found(written.read(), "fault_observed")[number]


# -- its time ----------------------------------------------------------------------------------------------------------


def test_all_its_numbers_are_told(new_run):
    written = new_run()
    timed_out(written)
    there(written)
    finding = finding_of(written)
    assert (finding.subject, finding.status) == (f"fault-1 on {LINK}", Status.PASS)
    assert (
        finding.value
        == "there for 10.0 of 10.0 s, 6 connections, 40 of 40 calls show it, 40 of 40 requests of acme met it"
    )
    assert finding.bound == ">= 90% of its window, shown by >= 90% of the calls"
    assert (finding.measured.value, finding.limit.limit, finding.link, finding.samples) == (1.0, 0.9, LINK, 40)
    assert finding.key == f"fault_observed/{LINK}/fault-1"


def applied_late(written: Written) -> None:
    timed_out(written)
    there(written, begin_s=21.5)


def lifted_by_the_reaper(written: Written) -> None:
    timed_out(written)
    there(written, end_s=13, by="reaper")


def lifted_and_told_by_a_note_only(written: Written) -> None:
    timed_out(written)
    written.event(22, Kind.NOTE, text="fault-1 was lifted before its time, by the somebody")
    there(written)


def read_back(written: Written, at_s: float, *, intact: bool | None, last_s: float = 0, **more: Any) -> None:
    last = {"last_intact_ns": at(last_s)} if last_s else {}
    written.event(at_s, Kind.FAULT_READ_BACK, **FIRST, intact=intact, **last, **more)


def reset_after_a_second(written: Written) -> None:
    timed_out(written)
    read_back(written, 13.5, intact=False, last_s=13, found="gone", lifted_by="somebody")
    there(written)


def weakened_after_a_second(written: Written) -> None:
    timed_out(written)
    read_back(written, 13.5, intact=False, last_s=13, found="latency 20 for 10000", lifted_by="somebody")
    there(written)


def weakened_before_it_was_seen_at_all(written: Written) -> None:
    timed_out(written)
    read_back(written, 22, intact=False, found="latency 20 for 10000")
    there(written)


def gone_in_the_middle(written: Written) -> None:
    timed_out(written)
    read_back(written, 15, intact=False, last_s=14.5, found="gone")
    read_back(written, 18, intact=True)
    there(written)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (applied_late, "It was there for 0.5 of 10.0 s (5%)."),
        (lifted_by_the_reaper, "It was there for 1.0 of 10.0 s (10%). It was lifted by the reaper."),
        (
            lifted_and_told_by_a_note_only,
            "It was there for 0.0 of 10.0 s (0%). It was lifted by somebody. Found in its place: gone.",
        ),
        (
            reset_after_a_second,
            "It was there for 1.0 of 10.0 s (10%). It was lifted by somebody. Found in its place: gone.",
        ),
        (
            weakened_after_a_second,
            "It was there for 1.0 of 10.0 s (10%). It was lifted by somebody. "
            "Found in its place: latency 20 for 10000.",
        ),
        (
            weakened_before_it_was_seen_at_all,
            "It was there for 0.0 of 10.0 s (0%). Found in its place: latency 20 for 10000.",
        ),
        (gone_in_the_middle, "It was there for 6.5 of 10.0 s (65%). Found in its place: gone."),
    ],
)
def test_a_fault_that_was_not_there_for_its_time_is_not_observed(new_run, write, reason):
    written = new_run()
    write(written)
    finding = finding_of(written)
    assert (finding.status, finding.cause, finding.reason) == (Status.UNKNOWN, Cause.NOT_OBSERVED, reason)


@pytest.mark.parametrize("intact", [True, None])
def test_a_read_back_that_says_nothing_else_changes_nothing(new_run, intact):
    written = new_run()
    timed_out(written)
    read_back(written, 21.99, intact=intact, found=None)
    there(written)
    assert finding_of(written).status is Status.PASS


def repeated(written: Written, comes: int) -> None:
    """Write a fault of a second every two seconds that came so many times, each time with its effect."""
    written.load_as_planned(but=[ACME_CHECKOUT])
    for number in range(5):
        begin, came = 12 + 2 * number, number < comes
        bad = {"status": 504, "latency_ms": 1500} if came else {}
        written.requests("acme", "checkout", begin, begin + 1, rate=4, **bad)
        written.requests("acme", "checkout", begin + 1, begin + 2, rate=4)
        if came:
            written.event(begin, Kind.FAULT_APPLIED, **FIRST, repetition=number + 1)
            written.event(begin + 1, Kind.FAULT_UNDONE, **FIRST, by="harness", repetition=number + 1)
    written.event(21, Kind.FAULT_OBSERVED, **FIRST, connections=4, bytes=900)


FIVE_TIMES = latency("10s", duration="1s", repeat={"every": "2s", "times": 5})


@pytest.mark.parametrize(("comes", "status"), [(5, Status.PASS), (4, Status.UNKNOWN), (1, Status.UNKNOWN)])
def test_every_repetition_must_have_come(new_run, comes, status):
    written = new_run(faults=FIVE_TIMES)
    repeated(written, comes)
    finding = finding_of(written)
    assert finding.status is status
    assert finding.value.startswith(f"came {comes} of 5 times")


def test_a_repeated_fault_whose_events_stand_there_once_covers_all_its_times(new_run):
    written = new_run(faults=FIVE_TIMES)
    timed_out(written)
    written.fault_of_the_plan()
    assert finding_of(written).status is Status.PASS


def killed(written: Written, times: int) -> None:
    written.load_as_planned()
    for number in range(times):
        written.event(12 + 3 * number, Kind.FAULT_APPLIED, **FIRST, repetition=number + 1)
        written.event(13 + 3 * number, Kind.FAULT_UNDONE, **FIRST, by="harness", repetition=number + 1)
    written.event(21, Kind.FAULT_OBSERVED, **FIRST, touched=times, unit="processes")


@pytest.mark.parametrize(("times", "status"), [(3, Status.PASS), (1, Status.UNKNOWN)])
def test_a_kill_is_counted_each_time_and_need_not_show_where_a_supervisor_is_quick(new_run, times, status):
    again = {"service": "provider-a", "kill": True, "duration": "1s", "repeat": {"every": "3s", "times": 3}}
    written = new_run(faults=[again])
    killed(written, times)
    finding = finding_of(written)
    assert (finding.status, finding.value.startswith(f"came {times} of 3 times")) == (status, True)
    assert (finding.window.start_ns, finding.window.end_ns) == (at(12), at(13 + 3 * (times - 1)))


# -- the calls that show it --------------------------------------------------------------------------------------------

Story = Callable[[Written], None]


def as_before(written: Written) -> None:
    written.load_as_planned()
    there(written)


def with_calls(**acme: Any) -> Story:
    def write(written: Written) -> None:
        load(written, **acme)
        there(written)

    return write


def half_show_it(written: Written) -> None:
    load(written, end_s=17, status=504, latency_ms=1500)
    there(written)


def lost_without_an_answer(written: Written) -> None:
    load(written, status=0, latency_ms=3000, error="timeout")
    there(written)


def gave_up_quietly(written: Written) -> None:
    load(written, latency_ms=1100)
    read_back(written, 21.9, intact=True)
    there(written)


SEVERAL: dict[str, tuple[dict[str, Any], Story, str]] = {
    "latency: contained by a breaker": (on_link("latency", "10s"), lambda w: hang_contained(w) and None, "pass"),
    "latency: nothing contains it": (on_link("latency", "10s"), lambda w: hang_uncontained(w) and None, "pass"),
    "latency: all calls as before": (on_link("latency", "10s"), as_before, "unknown"),
    "latency: a tenth of it": (on_link("latency", "10s"), with_calls(latency_ms=1000), "unknown"),
    "latency: the caller gave up, and nobody called it an error": (on_link("latency", "10s"), gave_up_quietly, "pass"),
    "latency: half of the calls": (on_link("latency", "10s"), half_show_it, "unknown"),
    "latency: requests without an answer": (on_link("latency", "10s"), lost_without_an_answer, "pass"),
    "latency: refused in no time": (on_link("latency", "10s"), with_calls(status=503, latency_ms=5), "unknown"),
    "latency: its own length": (on_link("latency", "400ms"), with_calls(latency_ms=500), "pass"),
    "latency: half of its length": (on_link("latency", "400ms"), with_calls(latency_ms=300), "unknown"),
    "latency: with jitter": (
        on_link("latency", {"latency": "400ms", "jitter": "200ms"}),
        with_calls(latency_ms=310),
        "pass",
    ),
    "latency: small, and there": (on_link("latency", "20ms"), with_calls(latency_ms=120), "pass"),
    "latency: small, and not there": (on_link("latency", "20ms"), with_calls(latency_ms=100), "unknown"),
    "latency: of some connections": (on_link("latency", "10s", toxicity="30%"), half_show_it, "pass"),
    "latency: of no connection": (on_link("latency", "10s", toxicity="30%"), as_before, "unknown"),
    "latency: one that grows": (on_link("latency", "400ms", ramp="10s"), with_calls(latency_ms=450), "pass"),
    "black hole": (on_link("timeout", "0s"), with_calls(status=504, latency_ms=1500), "pass"),
    "black hole: waits, and then an answer": (on_link("timeout", "0s"), with_calls(latency_ms=1500), "pass"),
    "black hole: all calls as before": (on_link("timeout", "0s"), as_before, "unknown"),
    "bandwidth of nothing": (on_link("bandwidth", 0), as_before, "unknown"),
    "down": (on_link("down"), with_calls(status=503, latency_ms=10), "pass"),
    "down: all calls as before": (on_link("down"), as_before, "unknown"),
    "down: half of the calls": (on_link("down"), half_show_it, "unknown"),
    "reset": (on_link("reset_peer", "0s"), with_calls(status=502, latency_ms=10), "pass"),
    "reset: all calls as before": (on_link("reset_peer", "0s"), as_before, "unknown"),
    "bandwidth": (on_link("bandwidth", 1), with_calls(latency_ms=250), "pass"),
    "bandwidth: all calls as before": (on_link("bandwidth", 1), as_before, "unknown"),
    "slicer": (on_link("slicer", {"average_size": 64, "delay": "5ms"}), with_calls(latency_ms=250), "pass"),
    "slicer: all calls as before": (on_link("slicer", {"average_size": 64, "delay": "5ms"}), as_before, "unknown"),
    "slow close need not show": (on_link("slow_close", "1s"), as_before, "pass"),
    "limit of data need not show": (on_link("limit_data", 100_000), as_before, "pass"),
}


@pytest.mark.parametrize(("fault", "write", "status"), SEVERAL.values(), ids=SEVERAL)
def test_the_calls_on_the_link_must_show_it(new_run, fault, write, status):
    written = new_run(faults=[fault])
    write(written)
    finding = finding_of(written)
    assert (finding.status.value, finding.cause) == (status, Cause.NOT_OBSERVED if status == "unknown" else None)


def test_what_falls_short_tells_its_numbers(new_run):
    written = new_run()
    half_show_it(written)
    finding = finding_of(written)
    assert (
        finding.value
        == "there for 10.0 of 10.0 s, 6 connections, 20 of 40 calls show it, 40 of 40 requests of acme met it"
    )
    assert finding.reason.startswith("20 of 40 calls show it: a call that meets it takes the delay that was asked for")
    assert finding.measured.value == 0.5


def test_a_breaker_that_was_open_before_kept_all_calls_away(new_run):
    written = new_run()
    written.load_as_planned(but=[ACME_CHECKOUT])
    refused = written.requests("acme", "checkout", 12, 22, rate=4, status=503, latency_ms=10, chain=REFUSED_CHAIN)
    for number, trace in enumerate(refused):
        written.event(12.1 + number / 4, Kind.BREAKER_REFUSED, service="payments", breaker=LINK, trace_id=trace.hex())
    there(written)
    finding = finding_of(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.reason == "All calls were refused before they met it (40): the breaker was open already."


def test_refusals_count_for_those_whose_calls_they_kept_away(new_run):
    written = hang_contained(new_run())
    assert finding_of(written).value.endswith("6 of 6 calls show it, 34 refused, 40 of 40 requests of acme met it")


def test_calls_that_were_under_way_when_it_came_count_where_no_other_began(new_run):
    written = new_run()
    written.load_as_planned(but=[Stretch(11.9, 22, "acme", "checkout")])
    written.request("acme", "checkout", 11.95, status=504, latency_ms=1500)
    there(written)
    assert finding_of(written).value.startswith("there for 10.0 of 10.0 s, 6 connections, 1 of 1 calls show it")


def test_without_any_call_nothing_met_it(new_run):
    written = new_run()
    written.load_as_planned(but=[ACME_CHECKOUT])
    there(written)
    reason = f"Nothing passed over {LINK} while the fault was there: give a flow that uses it some load."
    assert (finding_of(written).status, finding_of(written).reason) == (Status.UNKNOWN, reason)


@pytest.mark.parametrize(("connections", "status"), [(0, Status.UNKNOWN), (-1, Status.PASS), (6, Status.PASS)])
def test_a_proxy_that_counted_nothing_contradicts_and_one_that_does_not_count_says_nothing(
    new_run, connections, status
):
    written = new_run()
    timed_out(written)
    there(written, connections=connections, bytes=512 * connections if connections > 0 else connections)
    assert finding_of(written).status is status


# -- rules for single requests -----------------------------------------------------------------------------------------

ACME = {"tenant": "acme"}


@pytest.mark.parametrize(
    ("fault", "acme", "counted", "status"),
    [
        (on_link("latency", "2s", scope=ACME), {"latency_ms": 2100}, {"requests": 40}, "pass"),
        (on_link("latency", "2s", scope=ACME), {}, {"requests": 40}, "unknown"),
        (on_link("latency", "2s", scope=ACME), {"latency_ms": 2100}, {"requests": 0}, "unknown"),
        (on_link("latency", "2s", scope=ACME), {"latency_ms": 2100}, {"requests": 4}, "unknown"),
        (on_link("answer", {"status": 503}, scope={"share": "50%"}), {"status": 502}, {"requests": 18}, "pass"),
        (on_link("answer", {"status": 503}, scope={"share": "50%"}), {"status": 502}, {"requests": 5}, "unknown"),
        (on_link("answer", {"status": 503}), {}, {"requests": 40}, "unknown"),
        (on_link("answer", {"status": 200, "body": "[]"}), {}, {"requests": 40}, "pass"),
        (on_link("hang"), {"status": 504, "latency_ms": 1500}, {"requests": 40}, "pass"),
        (on_link("hang"), {}, {"requests": 40}, "unknown"),
        (on_link("lose_reply"), {"status": 502}, {"requests": 40}, "pass"),
        (on_link("duplicate"), {}, {"requests": 40}, "pass"),
        (on_link("duplicate"), {}, {"requests": 1}, "unknown"),
        (on_link("corrupt", 3, scope={"next": 5}), {}, {"requests": 5}, "pass"),
        (on_link("corrupt", 3, scope={"next": 5}), {}, {"requests": 1}, "unknown"),
        (on_link("null_field", "price", scope={"route": "/pay"}), {}, {"requests": 1}, "pass"),
        (on_link("truncate", 10), {}, {}, "unknown"),
        (on_link("slow_body", 100), {"latency_ms": 400}, {"requests": 40}, "pass"),
    ],
)
def test_a_rule_counts_the_requests_that_it_hit(new_run, fault, acme, counted, status):
    written = new_run(faults=[fault])
    load(written, **acme)
    there(written, **counted)
    assert finding_of(written).status.value == status


def test_calls_of_others_are_not_in_the_scope_of_a_tenant(new_run):
    written = new_run(faults=[on_link("latency", "2s", scope=ACME)])
    load(written, latency_ms=2100)
    for number in range(200):
        trace = written.request("globex", "browse", 12 + number / 20)
        written.span(trace, "payments", "client", 12 + number / 20, 5, link=LINK, tenant="globex")
    there(written, requests=40)
    assert finding_of(written).status is Status.PASS


# -- services, databases, flags, brokers -------------------------------------------------------------------------------

PAUSED = {"service": "provider-a", "pause": True}


def processes(**acme: Any) -> Story:
    def write(written: Written) -> None:
        load(written, **acme)
        there(written, connections=-1, bytes=-1, touched=1, unit="processes")

    return write


def nobody_calls(written: Written) -> None:
    written.load_as_planned(but=[ACME_CHECKOUT])
    there(written, connections=-1, bytes=-1, touched=1, unit="processes")


def touched(count: int, unit: str) -> Story:
    def write(written: Written) -> None:
        written.load_as_planned()
        there(written, connections=-1, bytes=-1, touched=count, unit=unit)

    return write


def exited_only(written: Written) -> None:
    written.load_as_planned()
    written.event(12, Kind.FAULT_APPLIED, **FIRST)
    written.event(12.1, Kind.PROCESS_EXITED, service="provider-a", pid=7, code=-9, expected=True)
    written.event(22, Kind.FAULT_UNDONE, **FIRST, by="harness")


PLACES: dict[str, tuple[dict[str, Any], Story, str]] = {
    "pause: calls wait and fail": (PAUSED, processes(status=504, latency_ms=1500), "pass"),
    "pause: calls as before": (PAUSED, processes(), "unknown"),
    "pause: nobody calls": (PAUSED, nobody_calls, "unknown"),
    "pause: nothing was stopped": (PAUSED, touched(0, "processes"), "unknown"),
    "kill: restarted at once": ({"service": "provider-a", "kill": True}, processes(), "pass"),
    "kill: nobody calls": ({"service": "provider-a", "kill": True}, nobody_calls, "unknown"),
    "kill: nothing was killed": ({"service": "provider-a", "kill": True}, touched(0, "processes"), "unknown"),
    "kill: the death is recorded, the count is not": ({"service": "provider-a", "kill": True}, exited_only, "pass"),
    "kill of a service without links": ({"service": "gateway", "kill": True}, touched(1, "processes"), "pass"),
    "cpu": ({"service": "gateway", "cpu_hog": 1}, touched(1, "processes"), "pass"),
    "cpu: nothing": ({"service": "gateway", "cpu_hog": 1}, touched(0, "processes"), "unknown"),
    "limit": ({"service": "gateway", "descriptor_ceiling": 40}, touched(1, "processes"), "pass"),
    "lock": ({"service": "gateway", "lock_table": "orders"}, touched(3, "waiting backends"), "pass"),
    "lock: nobody waits": ({"service": "gateway", "lock_table": "orders"}, touched(0, "waiting backends"), "unknown"),
    "index": ({"service": "gateway", "drop_index": "by_tenant"}, touched(0, "sequential scans"), "unknown"),
    "poison": ({"service": "gateway", "poison": {"subject": "x"}}, touched(3, "deliveries"), "pass"),
    "poison: not delivered": ({"service": "gateway", "poison": {"subject": "x"}}, touched(0, "deliveries"), "unknown"),
    "flag": ({"flag": {"name": "x", "value": True}}, touched(1, "flags"), "pass"),
    "packet loss": (on_link("packet_loss", "5%"), touched(9, "packets dropped"), "pass"),
    "packet loss: nothing dropped": (on_link("packet_loss", "5%"), touched(0, "packets dropped"), "unknown"),
}


@pytest.mark.parametrize(("fault", "write", "status"), PLACES.values(), ids=PLACES)
def test_a_fault_at_a_place_touches_it_and_shows_where_it_must(new_run, fault, write, status):
    flags = {"service": "gateway", "read": "/f", "write": {"path": "/f"}}
    written = new_run(faults=[fault], target={"flags": flags} if "flag" in fault else None)
    write(written)
    finding = finding_of(written)
    assert (finding.status.value, finding.cause) == (status, Cause.NOT_OBSERVED if status == "unknown" else None)


# -- without traces ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "acme", "counted", "status"),
    [
        (on_link("latency", "10s"), {}, {}, "unknown"),
        (on_link("latency", "10s"), {"status": 504, "latency_ms": 1500}, {}, "pass"),
        (on_link("latency", "1s"), {"latency_ms": 1100}, {}, "pass"),
        (on_link("latency", "10s"), {"status": 504, "latency_ms": 1500}, {"connections": 0, "bytes": 0}, "unknown"),
        (on_link("timeout", "0s"), {}, {}, "unknown"),
        (on_link("timeout", "0s"), {"status": 503, "latency_ms": 5}, {}, "pass"),
        (on_link("down"), {}, {"connections": -1, "bytes": -1}, "unknown"),
        (on_link("down"), {"status": 503}, {"connections": -1, "bytes": -1}, "unknown"),
        (on_link("down"), {}, {"connections": 3}, "pass"),
        (on_link("slow_close", "1s"), {}, {}, "pass"),
        (on_link("latency", "2s", scope=ACME), {}, {"requests": 17}, "unknown"),
        (on_link("latency", "2s", scope=ACME), {"latency_ms": 2100}, {"requests": 17, "tenants": "17 of acme"}, "pass"),
        (on_link("latency", "2s"), {"latency_ms": 2100}, {"requests": 17, "tenants": "17 of acme"}, "pass"),
        (on_link("duplicate"), {}, {"requests": 17, "tenants": "9 of globex"}, "unknown"),
        (PAUSED, {}, {"touched": 1}, "unknown"),
        (PAUSED, {"status": 504, "latency_ms": 1500}, {"touched": 1}, "pass"),
    ],
)
def test_without_traces_requests_must_have_changed(new_run, fault, acme, counted, status):
    written = new_run(faults=[fault])
    written.load_as_planned(but=[ACME_CHECKOUT], chain=())
    written.requests("acme", "checkout", 12, 22, rate=4, chain=(), **acme)
    there(written, **counted)
    assert finding_of(written).status.value == status


# -- whose requests ----------------------------------------------------------------------------------------------------


def test_a_fault_that_no_victim_met_is_not_observed(new_run):
    written = new_run(blast_radius={"globex": {"checkout": {"errors": "<= 100%"}}})
    timed_out(written)
    there(written)
    finding = finding_of(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.value.endswith("0 of 40 requests of globex met it")
    assert finding.reason == f"No request of globex met it: the blast radius names others than those who use {LINK}."


def test_without_victims_anybody_may_have_met_it(new_run):
    written = new_run(blast_radius={})
    timed_out(written)
    there(written)
    assert finding_of(written).value.endswith("40 of 100 requests of acme met it")


def test_calls_that_belong_to_no_request_leave_it_open_whose_they_were(new_run):
    written = new_run()
    written.load_as_planned(but=[ACME_CHECKOUT])
    for number in range(20):
        written.call(12.1 + number / 3, 3000, failed=True)
    there(written)
    assert finding_of(written).status is Status.PASS


def test_one_of_several_faults_is_enough_to_meet_the_victims(new_run):
    other = {"link": "payments -> provider-b", "latency": "10s"}
    written = new_run(faults=[*latency("10s"), other])
    written.load_as_planned(but=[Stretch(12, 22, None, "checkout")])
    for tenant in ("acme", "globex"):
        written.requests(tenant, "checkout", 12, 22, rate=4, status=504, latency_ms=1500)
    for number in (1, 2):
        there(written, number=number)
    assert [f.status for f in found(written.read(), "fault_observed")] == [Status.PASS, Status.PASS]


# -- two faults of which one hides the other ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hard", "hidden", "acme", "statuses"),
    [
        (on_link("down"), on_link("latency", "10s"), {"status": 503, "latency_ms": 200}, ["pass", "unknown"]),
        (
            on_link("timeout", "0s"),
            on_link("latency", "300ms"),
            {"status": 504, "latency_ms": 1500},
            ["pass", "unknown"],
        ),
        (on_link("down"), on_link("timeout", "0s"), {"status": 503, "latency_ms": 200}, ["pass", "unknown"]),
        (PAUSED, on_link("latency", "300ms"), {"status": 504, "latency_ms": 1500}, ["pass", "unknown"]),
        (on_link("down"), PAUSED, {"status": 503, "latency_ms": 200}, ["pass", "unknown"]),
        (on_link("latency", "300ms"), on_link("latency", "400ms"), {"latency_ms": 800}, ["pass", "pass"]),
        (on_link("latency", "300ms"), on_link("latency", "400ms"), {"latency_ms": 500}, ["unknown", "unknown"]),
        (on_link("latency", "300ms"), on_link("reset_peer", "0s"), {"latency_ms": 500}, ["pass", "unknown"]),
    ],
)
def test_each_of_two_faults_must_show_its_own_effect(new_run, hard, hidden, acme, statuses):
    written = new_run(faults=[hard, hidden])
    load(written, **acme)
    for number in (1, 2):
        there(written, number=number, touched=1, unit="processes")
    assert [f.status.value for f in found(written.read(), "fault_observed")] == statuses


# -- a surge -----------------------------------------------------------------------------------------------------------

SURGE = [{"surge": {"tenant": "globex", "times": 5}}]


@pytest.mark.parametrize(
    ("times", "status", "cause"),
    [
        (5, Status.PASS, None),
        (3, Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED),
        (1, Status.UNKNOWN, Cause.NOT_OBSERVED),
    ],
)
def test_a_surge_is_observed_if_it_was_delivered(new_run, times, status, cause):
    written = all_is_well(new_run(faults=SURGE), but=[Stretch(12, 22, "globex")])
    for flow, share in (("browse", 6), ("checkout", 4)):
        written.requests("globex", flow, 12, 22, rate=share * times)
    finding = finding_of(written)
    assert (finding.status, finding.cause) == (status, cause)
    assert finding.value == f"{100 * times} of 500 requests of globex"
    assert finding.measured.value == times / 5


def test_a_surge_that_was_over_early_did_not_deliver(new_run):
    written = all_is_well(new_run(faults=SURGE), but=[Stretch(12, 14, "globex")])
    for flow, share in (("browse", 6), ("checkout", 4)):
        written.requests("globex", flow, 12, 14, rate=share * 5)
    assert finding_of(written).status is Status.UNKNOWN


def test_an_outcome_that_was_dropped_met_nothing(new_run):
    written = new_run()
    load(written, outcome=Outcome.DROPPED)
    there(written)
    assert finding_of(written).status is Status.UNKNOWN


def test_a_repetition_that_no_call_shows_did_not_do_its_work(new_run):
    """Twelve times; the calls of two of them are as before, which is less than a tenth of all calls."""
    again = on_link("latency", "10s", duration="500ms", repeat={"every": "800ms", "times": 12})
    written = new_run(faults=[again])
    written.load_as_planned(but=[ACME_CHECKOUT])
    for number in range(12):
        begin = 12 + 0.8 * number
        many = number not in (3, 7)
        bad = {"status": 504, "latency_ms": 1500} if many else {"latency_ms": 50}
        written.requests("acme", "checkout", begin, begin + 0.4, rate=40 if many else 10, **bad)
        written.event(begin, Kind.FAULT_APPLIED, **FIRST, repetition=number + 1)
        written.event(begin + 0.5, Kind.FAULT_UNDONE, **FIRST, by="harness", repetition=number + 1)
    written.event(21.9, Kind.FAULT_OBSERVED, **FIRST, connections=4, bytes=900)
    finding = finding_of(written)
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)
    assert finding.reason == "It came 12 times; calls show it in 10 of 12."


@pytest.mark.parametrize(("given_up", "status"), [(4, Status.PASS), (20, Status.UNKNOWN)])
def test_a_few_calls_that_ran_out_of_time_at_once_say_nothing_of_a_delay(new_run, given_up, status):
    written = new_run()
    written.load_as_planned(but=[Stretch(12, 22, "acme", "checkout")])
    written.fault_of_the_plan()
    for number in range(40):
        took_ms = 5 if number < given_up else 1500
        written.request("acme", "checkout", 12.1 + number / 4.1, status=504, latency_ms=took_ms)
    assert found(written.read(), "fault_observed")[0].status is status
