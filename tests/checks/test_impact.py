import pytest

from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found
from tests.recordings import LATENCY_MS, Stretch


def judged(new_run, times, bound=">= 10"):
    written = new_run({"impact": {"flow": "browse", "p95": bound, "tenants": ["acme"]}})
    all_is_well(written, but=[Stretch(12, 22, "acme", "browse")])
    written.requests("acme", "browse", 12, 22, rate=12, latency_ms=LATENCY_MS["browse"] * times)
    (finding,) = found(written.read(), "impact")
    return finding


@pytest.mark.parametrize(("times", "status"), [(20, Status.PASS), (1, Status.FAIL), (5, Status.FAIL)])
def test_the_ratio_decides(new_run, times, status):
    assert judged(new_run, times).status is status


def test_an_upper_bound_works_as_well(new_run):
    assert judged(new_run, 20, "<= 2").status is Status.FAIL


def test_too_few_requests_decide_nothing(new_run):
    written = new_run({"impact": {"flow": "browse", "p95": ">= 10", "tenants": ["acme"]}})
    all_is_well(written, but=[Stretch(12, 22, "acme", "browse")])
    (finding,) = found(written.read(), "impact")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
