import pytest

from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

CHECK = {"refusals": {"tenant": "globex", "share": ">= 30%"}}


def refusing(written, share, **how):
    """Let globex browse at 20 a second, of which *share* are refused as *how* says."""
    all_is_well(written, but=[Stretch(12, 22, "globex")])
    written.requests("globex", "browse", 12, 22, rate=20 * (1 - share))
    if share:
        written.requests("globex", "browse", 12, 22, rate=20 * share, **how)
    return written.read()


@pytest.mark.parametrize("status", [429, 503])
def test_a_surplus_that_is_refused_politely_and_quickly_passes(new_run, status):
    recording = refusing(new_run(CHECK), 0.5, status=status, latency_ms=3, retry_after=True)
    assert told(recording, "refusals") == [
        ("globex refused", "pass", "50%"),
        ("globex refused with Retry-After", "pass", "100%"),
        ("globex refused p95", "pass", "3 ms"),
    ]


@pytest.mark.parametrize(
    ("share", "how", "failed"),
    [
        (0.1, {"status": 429, "latency_ms": 3, "retry_after": True}, "globex refused"),
        (0.5, {"status": 429, "latency_ms": 3, "retry_after": False}, "globex refused with Retry-After"),
        (0.5, {"status": 503, "latency_ms": 900, "retry_after": True}, "globex refused p95"),
    ],
    ids=["too few", "no word when to come back", "slowly"],
)
def test_each_part_of_it_can_fail(new_run, share, how, failed):
    findings = found(refusing(new_run(CHECK), share, **how), "refusals")
    assert [f.subject for f in findings if f.status is Status.FAIL] == [failed]


def test_other_failures_are_no_refusals(new_run):
    findings = found(refusing(new_run(CHECK), 0.5, status=500), "refusals")
    assert [(f.status, f.value) for f in findings] == [
        (Status.FAIL, "0%"),
        (Status.UNKNOWN, "–"),
        (Status.UNKNOWN, "–"),
    ]


def told_by(written, what, count, **fields):
    for number in range(count):
        written.event(12 + number / 100, what, service="gateway", tenant="globex", **fields)


def surge(new_run, *checks):
    return new_run(CHECK, faults=[{"surge": {"tenant": "globex", "times": 30}}])


def test_a_surge_that_never_came_leaves_nothing_to_refuse(new_run):
    written = all_is_well(surge(new_run), but=[Stretch(12, 22, "globex")])
    written.requests("globex", "browse", 12, 22, rate=6, status=503, retry_after=True, latency_ms=3)
    assert {f.status for f in found(written.read(), "refusals")} == {Status.NOT_EXERCISED}


def test_where_nothing_was_refused_and_nothing_more_was_sent_it_was_not_put_to_the_test(new_run):
    assert {f.status for f in found(all_is_well(new_run(CHECK)).read(), "refusals")} == {Status.NOT_EXERCISED}


def test_a_service_that_is_down_refuses_nothing(new_run):
    written = new_run(CHECK)
    told_by(written, Kind.RATE_LIMITED, 5, trace_id="00" * 16)
    recording = refusing(written, 0.5, status=503, latency_ms=3, retry_after=True)
    finding = found(recording, "refusals")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.SOURCES_DISAGREE)
    assert finding.value == "50%; sources disagree: 100 refused by the answers, 0 by the limiters"


def test_refusals_that_a_limiter_counted_pass(new_run):
    written = new_run(CHECK)
    for second in range(32):
        share = min(1.0, max(0.0, (second - 12) / 10))
        written.metric(second, "gateway", "resilience_rate_limit_refused_total", 100 * share, tenant="globex")
        written.metric(second, "gateway", "resilience_rate_limit_refused_total", 9 * share, tenant="acme")
    recording = refusing(written, 0.5, status=429, latency_ms=3, retry_after=True)
    assert {f.status for f in found(recording, "refusals")} == {Status.PASS}


def test_a_handful_of_requests_decides_nothing(new_run):
    written = all_is_well(new_run(CHECK), but=[Stretch(0, 32, "globex")])
    written.requests("globex", "browse", 13, 14, rate=4, status=429, retry_after=True)
    finding = found(written.read(), "refusals")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
