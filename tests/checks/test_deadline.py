import pytest

from harness.model.result.finding import Cause, Status
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found, hang_contained, hang_uncontained, told

CHECK = {"deadline": {"flow": "checkout", "within": "1900ms"}}


def test_answers_in_time_pass_whatever_they_say(new_run):
    assert told(hang_contained(new_run(CHECK)).read(), "deadline") == [
        ("acme checkout", "pass", "40 of 40 within 1900 ms, the slowest 1500 ms"),
        ("globex checkout", "pass", "40 of 40 within 1900 ms, the slowest 100 ms"),
    ]


def test_answers_that_come_late_fail(new_run):
    findings = found(hang_uncontained(new_run(CHECK)).read(), "deadline")
    assert [(f.tenant, f.status, f.value) for f in findings] == [
        ("acme", Status.FAIL, "0 of 40 within 1900 ms, the slowest 3000 ms"),
        ("globex", Status.PASS, "40 of 40 within 1900 ms, the slowest 100 ms"),
    ]
    assert (findings[0].bound, findings[0].samples) == (">= 99%", 40)


def test_no_answer_is_not_in_time_however_quickly_the_connection_was_lost(new_run):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", 12, 22, rate=4, status=0, error="connection reset", latency_ms=2)
    finding = found(written.read(), "deadline")[0]
    assert (finding.status, finding.value) == (Status.FAIL, "0 of 40 within 1900 ms")


@pytest.mark.parametrize(("late", "status"), [(1, Status.UNKNOWN), (5, Status.FAIL)])
def test_a_few_late_ones_fail_only_if_they_cannot_be_chance(new_run, late, status):
    written = all_is_well(new_run(CHECK), but=[ACME_CHECKOUT])
    for number in range(40):
        latency_ms = 2500 if number % 8 == 0 and number < late * 8 else 100
        written.request("acme", "checkout", 12.1 + number / 4, latency_ms=latency_ms)
    finding = found(written.read(), "deadline")[0]
    assert (finding.status, finding.cause) == (status, Cause.TOO_FEW_SAMPLES if status is Status.UNKNOWN else None)


def test_only_the_tenants_that_were_named_are_judged(new_run):
    check = {"deadline": {**CHECK["deadline"], "tenants": ["globex"]}}
    assert [f.tenant for f in found(hang_uncontained(new_run(check)).read(), "deadline")] == ["globex"]


def test_a_flow_that_the_named_tenant_does_not_use_is_not_a_pass(new_run):
    check = {"deadline": {**CHECK["deadline"], "tenants": ["initech"]}}
    (finding,) = found(all_is_well(new_run(check)).read(), "deadline")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOTHING_JUDGED)
