from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found, hang_contained, hang_uncontained, told
from tests.recordings import LINK, Stretch

CHECK = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}


def only(recording):
    (finding,) = found(recording, "breaker")
    return finding


def test_a_breaker_that_contains_the_hang_passes(new_run):
    recording = hang_contained(new_run(CHECK)).read()
    assert told(recording, "breaker") == [
        (LINK, "pass", "opened after 1.5 s, refused 34 of 40, closed 1.0 s after the fault")
    ]


def test_without_the_breaker_it_fails_on_the_calls_that_went_on(new_run):
    finding = only(hang_uncontained(new_run(CHECK)).read())
    assert (finding.status, finding.value) == (Status.FAIL, "never opened; 40 calls reached the link")
    assert len(finding.evidence) == 5
    assert all(len(line.trace_id) == 32 for line in finding.evidence)


def test_opening_too_late_fails(new_run):
    check = {"breaker": {**CHECK["breaker"], "opens_within": "1s"}}
    finding = only(hang_contained(new_run(check)).read())
    assert (finding.status, finding.reason) == (Status.FAIL, "It opened after 1.5 s, not within 1 s.")


def test_victims_that_still_wait_while_it_is_open_fail(new_run):
    check = {"breaker": {**CHECK["breaker"], "refuses_within": "10ms"}}
    finding = only(hang_contained(new_run(check)).read())
    assert finding.status is Status.FAIL
    assert finding.reason == "p50 of 34 requests while it was open: 12 ms, <= 10 ms asked for."


def test_calls_that_go_on_while_it_is_open_fail(new_run):
    written = hang_contained(new_run(CHECK))
    for tenth in range(140, 210, 2):
        written.call(tenth / 10, 700)
    finding = only(written.read())
    assert finding.status is Status.FAIL
    assert finding.reason == "35 calls reached the link while it was open; probes would be 11 at most."


def test_a_breaker_that_stays_open_fails(new_run):
    written = all_is_well(new_run(CHECK))
    written.breaker((13, "open"))
    finding = only(written.read())
    assert finding.status is Status.FAIL
    assert "It was not closed when the run ended." in finding.reason


def test_closing_too_late_fails(new_run):
    check = {"breaker": {**CHECK["breaker"], "closes_within": "500ms"}}
    finding = only(hang_contained(new_run(check)).read())
    assert (finding.status, finding.reason) == (Status.FAIL, "It closed later than 0.5 s.")


def test_a_run_that_ends_before_the_time_to_close_is_over_decides_nothing(new_run):
    check = {"breaker": {**CHECK["breaker"], "closes_within": "30s"}}
    written = hang_contained(new_run(check))
    written.breaker((31, "open"))
    finding = only(written.read())
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_without_any_spans_nothing_is_known(new_run):
    written = new_run(CHECK)
    written.load_as_planned(chain=())
    written.fault_of_the_plan()
    finding = only(written.read())
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)


def test_a_link_that_nobody_called_is_not_felt(new_run):
    written = all_is_well(new_run(CHECK), but=[Stretch(0, 32, "acme", "checkout")])
    finding = only(written.read())
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.NOT_OBSERVED)


def test_where_no_event_tells_the_metric_does(new_run):
    written = hang_uncontained(new_run({"breaker": {**CHECK["breaker"], "refuses_within": "5s"}}))
    for second in range(32):
        written.metric(second, "payments", "resilience_breaker_state", 2 if 14 <= second < 24 else 0, name=LINK)
    (subject, _, value) = told(written.read(), "breaker")[0]
    assert (subject, value) == (LINK, "opened after 2.0 s, refused 0 of 40, closed 2.0 s after the fault")


def test_without_declared_victims_it_looks_at_the_requests_that_were_refused(new_run):
    recording = hang_contained(new_run(CHECK, blast_radius={})).read()
    assert only(recording).status is Status.PASS
