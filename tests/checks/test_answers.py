import pytest

from harness.model.files.scenario import Severity
from harness.model.result.finding import Status
from harness.recording.columns import Table
from tests.checks.stories import ACME_CHECKOUT, all_is_well, found
from tests.recordings import FAULT_S, RECOVERY_S, Stretch, at


def judged(written):
    return [(f.subject, f.status, f.value) for f in found(written.read(), "answers")]


def under_fault(written, status, *, rate=4):
    all_is_well(written, but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, RECOVERY_S, rate=rate, status=status)
    return written


@pytest.mark.parametrize("status", [404, 410, 400, 401, 403, 422])
def test_a_definitive_answer_that_the_baseline_did_not_give_fails_even_where_errors_are_allowed(new_run, status):
    told = (f"acme checkout status {status}", Status.FAIL, "40 of 80 answers, none before the fault")
    assert judged(under_fault(new_run(), status)) == [told]


@pytest.mark.parametrize("status", [500, 503, 504, 429, 409])
def test_an_error_that_says_try_again_is_honest(new_run, status):
    assert judged(under_fault(new_run(), status)) == []


def test_a_single_odd_answer_is_no_lie(new_run):
    written = all_is_well(new_run())
    written.request("acme", "checkout", 15.01, status=404)
    assert judged(written) == []


def test_what_the_flow_answers_anyway_is_no_lie(new_run):
    written = under_fault(new_run(), 404)
    written.request("acme", "checkout", 5, status=404)
    assert judged(written) == []


@pytest.mark.parametrize(("size", "lies"), [(0, True), (2, True), (500, False)])
def test_a_success_without_content_is_a_lie(new_run, size, lies):
    written = all_is_well(new_run(), but=[ACME_CHECKOUT])
    for number in range(20):
        due = at(FAULT_S + number / 4)
        row = ("acme", "checkout", "order", due, due, due + 10**7, 201, "ok", None, written.new_id(16), size, False)
        written.row(Table.REQUESTS, *row, None)
    expected = [("acme checkout empty success", Status.FAIL, "20 of 60 answers, none before the fault")]
    assert judged(written) == (expected if lies else [])


def sized(written, tenant, flow, size):
    """Under the fault the flow succeeds with answers of this size instead of 512 bytes."""
    all_is_well(written, but=[Stretch(FAULT_S, RECOVERY_S, tenant, flow)])
    for number in range(40):
        due = at(FAULT_S + number / 4)
        step, status = ("list", 200) if flow == "browse" else ("order", 201)
        row = (tenant, flow, step, due, due, due + 10**7, status, "ok", None, written.new_id(16), size, False)
        written.row(Table.REQUESTS, *row, None)
    return [(f.subject, f.status, f.severity) for f in found(written.read(), "answers")]


@pytest.mark.parametrize(
    ("size", "what"),
    [(40, "far fewer"), (127, "far fewer"), (128, ""), (4096, ""), (4097, "far more"), (9000, "far more")],
)
def test_a_success_of_quite_another_size_harms_a_bystander(new_run, size, what):
    expected = [(f"globex browse success of {what} bytes", Status.FAIL, Severity.CRITICAL)] if what else []
    assert sized(new_run(), "globex", "browse", size) == expected


def test_a_victim_may_be_served_by_a_fallback(new_run):
    expected = [("acme checkout success of far fewer bytes", Status.FAIL, Severity.WARNING)]
    assert sized(new_run(), "acme", "checkout", 40) == expected


def test_a_list_that_grows_during_the_run_is_no_other_content(new_run):
    written = all_is_well(new_run(), but=[Stretch(FAULT_S, RECOVERY_S, "globex", "browse")])
    for number in range(60):
        due = at(FAULT_S + number / 6)
        row = ("globex", "browse", "list", due, due, due + 10**7, 200, "ok", None, written.new_id(16))
        written.row(Table.REQUESTS, *row, 512 + number * 200, False, None)
    assert judged(written) == []
