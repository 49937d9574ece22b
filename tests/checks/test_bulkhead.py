import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, found, hang_contained, hang_uncontained, told
from tests.recordings import LINK, Stretch

CHECK = {"bulkhead": {"link": LINK, "limit": 12}}
UNLIMITED = {"bulkhead": {"link": LINK}}


def test_a_bulkhead_that_was_never_full_was_not_put_to_the_test(new_run):
    assert told(hang_contained(new_run(CHECK)).read(), "bulkhead") == [
        (LINK, "not exercised", "6 calls at once at most"),
        ("others beside payments", "pass", "6 of 6 objectives held"),
    ]


@pytest.mark.parametrize(
    ("limit", "status", "reason"),
    [
        (11, Status.FAIL, "More calls were under way than the bulkhead has places."),
        (12, Status.PASS, ""),
        (13, Status.NOT_EXERCISED, "It was never full: its limit was not put to the test."),
    ],
)
def test_the_limit_is_exact(new_run, limit, status, reason):
    check = {"bulkhead": {"link": LINK, "limit": limit}}
    finding = found(hang_uncontained(new_run(check)).read(), "bulkhead")[0]
    assert (finding.status, finding.reason, finding.value) == (status, reason, "12 calls at once at most")


def test_the_limit_comes_from_the_callers_metric(new_run):
    written = hang_uncontained(new_run(UNLIMITED))
    written.metric(3, "payments", "resilience_bulkhead_limit", 10, name=LINK)
    written.metric(3, "payments", "resilience_bulkhead_limit", 99, name="another -> link")
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.bound) == (Status.FAIL, "<= 10")


def test_an_unknown_limit_decides_nothing(new_run):
    finding = found(hang_contained(new_run(UNLIMITED)).read(), "bulkhead")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_a_neighbour_that_is_hurt_fails_it(new_run):
    written = new_run(CHECK)
    all_is_well(written, but=[Stretch(12, 22, "globex", "checkout")])
    written.requests("globex", "checkout", 12, 22, rate=4, latency_ms=900)
    finding = found(written.read(), "bulkhead")[1]
    assert (finding.status, finding.value) == (Status.FAIL, "5 of 6 objectives held")
    assert finding.reason == "globex checkout p95: 900 ms, < 600 ms promised."
    assert len(finding.evidence) == 5


def test_where_everybody_may_be_hurt_nobody_can_be_unharmed(new_run):
    everybody = {tenant: {flow: {} for flow in ("browse", "checkout")} for tenant in ("acme", "globex")}
    finding = found(hang_contained(new_run(CHECK, blast_radius=everybody)).read(), "bulkhead")[1]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_others_are_left_alone_if_nobody_asks(new_run):
    check = {"bulkhead": {"link": LINK, "limit": 12, "others_unharmed": False}}
    assert len(found(hang_contained(new_run(check)).read(), "bulkhead")) == 1


def gauge(written, places, *, limit=None, service="payments"):
    for second in range(12, 22):
        written.metric(second, service, "resilience_bulkhead_in_use", places, name=LINK)
        if limit:
            written.metric(second, service, "resilience_bulkhead_limit", limit, name=LINK)


def test_a_limit_that_only_one_of_two_processes_tells_decides_nothing(new_run):
    written = hang_uncontained(new_run(UNLIMITED))
    gauge(written, 6, limit=12)
    gauge(written, 6, service="payments-2")
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)
    assert finding.reason == "1 of 2 processes did not export their limit: say it in the check."


def test_the_limits_of_two_processes_add_up(new_run):
    written = hang_uncontained(new_run(UNLIMITED))
    for service in ("payments", "payments-2"):
        gauge(written, 6, limit=6, service=service)
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.bound) == (Status.PASS, "<= 12")


def test_places_in_use_that_no_span_shows_are_told(new_run):
    written = hang_contained(new_run({"bulkhead": {"link": LINK, "limit": 30}}))
    gauge(written, 30)
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert finding.value == (
        "6 calls at once at most; sources disagree: 6 calls at once by spans, 30 places in use by the metric"
    )


def test_calls_turned_away_although_spans_show_free_places_are_told(new_run):
    written = hang_contained(new_run(CHECK))
    for tenth in range(130, 200, 5):
        written.event(tenth / 10, Kind.BULKHEAD_REJECTED, service="payments", bulkhead=LINK, outcome="full")
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)


def test_a_bulkhead_that_turned_calls_away_acted(new_run):
    written = hang_uncontained(new_run({"bulkhead": {"link": LINK, "limit": 13}}))
    written.event(15, Kind.BULKHEAD_REJECTED, service="payments", bulkhead=LINK, outcome="full")
    assert found(written.read(), "bulkhead")[0].status is Status.PASS


def test_without_spans_the_metric_decides_alone_and_says_so(new_run):
    written = new_run(UNLIMITED)
    written.load_as_planned(chain=())
    written.fault_of_the_plan()
    gauge(written, 15, limit=12)
    finding = found(written.read(), "bulkhead")[0]
    assert (finding.status, finding.value) == (Status.FAIL, "15 calls at once at most (by metrics alone)")


def test_a_process_beyond_its_own_limit_is_not_hidden_by_the_places_of_another(new_run):
    written = hang_uncontained(new_run(UNLIMITED))
    gauge(written, 9, limit=7)
    gauge(written, 3, limit=7, service="payments-2")
    assert found(written.read(), "bulkhead")[0].status is Status.FAIL
