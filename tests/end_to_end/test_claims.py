"""Shipped claims hold on the real stack, and break when the protection that they prove is switched off."""

import re

import pytest

from tests.end_to_end.running import run_harness

pytestmark = pytest.mark.end_to_end

CLAIMS = {
    "payment-provider-hang": ("breaker", "payments-breaker"),
    "noisy-neighbour": ("blast_radius", "gateway-rate-limit,gateway-tenant-bulkhead"),
    "slow-orders-database": ("deadline", "orders-deadline"),
}


@pytest.mark.parametrize("scenario", CLAIMS)
def test_the_claim_holds(scenario, tmp_path):
    outcome = run_harness("run", scenario, cwd=tmp_path)
    assert outcome.code == 0, outcome.err + outcome.out
    assert outcome.verdict["status"] == "pass"
    assert (outcome.folder / "report.html").stat().st_size < 2_500_000


@pytest.mark.parametrize("scenario", CLAIMS)
def test_without_its_protection_the_claim_breaks_on_the_named_check(scenario, tmp_path):
    check, protections = CLAIMS[scenario]
    outcome = run_harness("run", scenario, "--without", protections, cwd=tmp_path)
    assert outcome.code == 1, outcome.err + outcome.out
    assert check in outcome.failed_checks()


def test_a_fault_on_one_tenants_requests_meets_that_tenant_alone_under_mutual_tls(tmp_path):
    outcome = run_harness("run", "one-tenant-slow", cwd=tmp_path)
    assert outcome.code == 0, outcome.err + outcome.out
    (observed,) = (finding for finding in outcome.verdict["findings"] if finding["check"] == "fault_observed")
    hit, whose = re.search(r"(\d+) requests hit \((.*?)\)", observed["value"]).groups()
    assert whose == f"{hit} of acme"
