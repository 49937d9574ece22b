from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found
from tests.recordings import Stretch, small_target


def only(recording):
    (finding,) = found(recording, "isolation")
    return finding


def test_answers_that_name_their_own_tenant_pass(new_run):
    finding = only(all_is_well(new_run()).read())
    assert (finding.status, finding.value, finding.samples) == (Status.PASS, "0 foreign in 640 answers", 640)


def test_one_answer_with_foreign_data_fails_with_its_trace(new_run):
    written = all_is_well(new_run())
    trace = written.request("acme", "browse", 5, foreign="globex")
    finding = only(written.read())
    assert finding.status is Status.FAIL
    assert [(line.text, line.trace_id) for line in finding.evidence] == [
        ("acme browse was given data of globex", trace.hex())
    ]


def test_a_ledger_that_gives_back_a_foreign_row_fails(new_run):
    written = all_is_well(new_run())
    written.ledger("read", "acme", "key-1", value="globex")
    finding = only(written.read())
    assert (finding.status, finding.samples) == (Status.FAIL, 641)
    assert finding.evidence[0].text == "ledger orders of acme held key-1 of globex"


def test_without_good_answers_nothing_was_looked_into(new_run):
    written = new_run()
    written.load_as_planned(status=500)
    finding = only(written.read())
    assert (finding.status, finding.severity, finding.cause) == (
        Status.UNKNOWN,
        Severity.CRITICAL,
        Cause.TOO_FEW_SAMPLES,
    )


def unmarked():
    """Flows whose answers do not say where they name their tenant."""
    flows = small_target()["flows"]
    return {
        name: {"steps": [{k: v for k, v in s.items() if k != "watermark"} for s in f["steps"]]}
        for name, f in flows.items()
    }


def test_a_target_that_names_no_tenant_gets_a_warning_unless_isolation_was_asked_for(new_run):
    unasked = only(all_is_well(new_run(target={"flows": unmarked()})).read())
    assert (unasked.status, unasked.severity) == (Status.UNKNOWN, Severity.WARNING)


def test_asked_for_it_is_undecided(new_run):
    asked = only(all_is_well(new_run({"isolation": {}}, target={"flows": unmarked()})).read())
    assert (asked.status, asked.severity) == (Status.UNKNOWN, Severity.CRITICAL)


def test_a_tenant_to_whom_no_answer_succeeded_was_not_looked_into(new_run):
    written = new_run()
    written.load_as_planned(but=[Stretch(0, 32, "acme")])
    written.requests("acme", "browse", 0, 32, rate=6, status=500)
    finding = only(written.read())
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
    assert finding.reason.startswith("No answer to acme could be looked into")


def test_an_error_that_holds_foreign_data_fails(new_run):
    written = all_is_well(new_run())
    written.request("acme", "browse", 5, status=500, foreign="globex")
    assert only(written.read()).status is Status.FAIL
