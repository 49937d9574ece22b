import pytest

from harness.model.result.finding import Cause, Status
from harness.recording.columns import Table
from tests.checks.stories import all_is_well, found
from tests.recordings import at

CHECK = {"signals": {"service": "gateway"}}
TENANTS = ("acme", "globex")


def counts(written, tenant):
    """Return (moment, requests that had ended by then) of a tenant, a second apart."""
    ends = written.ends(tenant)
    return [(second, sum(end <= second for end in ends)) for second in range(1, 33)]


def told(written, *, metrics=1.0, logs=1.0):
    """Let the gateway count and log what happened, or a share of it; return the findings by source and status."""
    all_is_well(written)
    for tenant in TENANTS:
        for second, ended in counts(written, tenant):
            written.metric(second, "gateway", "http_server_requests_total", ended * metrics, tenant=tenant, route="/")
        ends = written.ends(tenant)
        for end in ends[: round(len(ends) * logs)]:
            written.row(Table.LOGS, at(end), "gateway", "INFO", "request status=200", None, tenant)
    return {(f.subject, f.status) for f in found(written.read(), "signals")}


def everything(status, *sources):
    return {(f"{source} of {tenant} at gateway", status) for source in sources for tenant in TENANTS}


def test_three_sources_that_agree_pass(new_run):
    assert told(new_run(CHECK)) == everything(Status.PASS, "metrics", "traces", "logs")


@pytest.mark.parametrize("source", ["metrics", "logs"])
def test_a_source_that_counts_less_fails(new_run, source):
    rest = {"metrics", "traces", "logs"} - {source}
    found_now = told(new_run(CHECK), **{source: 0.9})
    assert found_now == everything(Status.FAIL, source) | everything(Status.PASS, *rest)


def test_each_source_has_its_own_threshold_and_queue(new_run):
    lenient = {"logs": {"tolerance": "20%"}, "metrics": {"severity": "warning"}}
    written = new_run({"signals": {"service": "gateway", **lenient}})
    told(written, metrics=0.9, logs=0.9)
    findings = found(written.read(), "signals")
    assert {(f.subject.split()[0], f.status, f.severity.queue) for f in findings} == {
        ("metrics", Status.FAIL, "review"),
        ("traces", Status.PASS, "page"),
        ("logs", Status.PASS, "page"),
    }


def test_without_metrics_it_is_unknown(new_run):
    (finding,) = found(all_is_well(new_run(CHECK)).read(), "signals")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_what_a_source_loses_under_the_fault_alone_is_not_little_of_the_whole_run(new_run):
    written = all_is_well(new_run({"signals": {"service": "gateway", "logs": {"tolerance": "10%"}}}))
    for tenant in TENANTS:
        for second, ended in counts(written, tenant):
            written.metric(second, "gateway", "http_server_requests_total", ended, tenant=tenant, route="/")
        for number, end in enumerate(written.ends(tenant)):
            if not 12 <= end < 22 or number % 5:
                written.row(Table.LOGS, at(end), "gateway", "INFO", "request status=200", None, tenant)
    findings = [f for f in found(written.read(), "signals") if f.measure == "logs"]
    assert {f.status for f in findings} == {Status.FAIL}
    assert findings[0].value == "80 of 100 requests (20.0% off) under the fault"


def test_scrapes_that_ended_before_the_fault_decide_nothing(new_run):
    written = all_is_well(new_run(CHECK))
    for tenant in TENANTS:
        for second, ended in counts(written, tenant)[:12]:
            written.metric(second, "gateway", "http_server_requests_total", ended, tenant=tenant, route="/")
    (finding,) = found(written.read(), "signals")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)
