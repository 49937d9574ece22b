import pytest

from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found, hang_contained, hang_uncontained, told
from tests.recordings import LINK, Stretch

CHECK = {"bulkhead": {"link": LINK, "limit": 12}}
UNLIMITED = {"bulkhead": {"link": LINK}}


def test_calls_within_the_limit_and_others_unharmed_pass(new_run):
    assert told(hang_contained(new_run(CHECK)).read(), "bulkhead") == [
        (LINK, "pass", "6 calls at once at most"),
        ("others beside payments", "pass", "6 of 6 objectives held"),
    ]


@pytest.mark.parametrize(
    ("limit", "status", "reason"),
    [
        (11, Status.FAIL, "More calls were under way than the bulkhead has places."),
        (12, Status.PASS, ""),
        (13, Status.PASS, "It was never full: its limit was not put to the test."),
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
