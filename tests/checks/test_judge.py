"""Whole verdicts of whole runs."""

from dataclasses import replace

import pytest

from harness.checks import catalogue
from harness.checks.judge import judge
from harness.model.errors import ExitCode
from harness.model.files.scenario import CHECKS
from harness.model.result.finding import Cause, How, Status
from harness.model.run.events import Kind
from tests.checks.stories import all_is_well, hang_contained, hang_uncontained
from tests.recordings import LINK, Stretch

BREAKER = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}
ALL = (
    BREAKER,
    {"bulkhead": {"link": LINK, "limit": 12}},
    {"retries": {"link": "orders -> payments", "amplification": "<= 1.3"}},
    {"deadline": {"flow": "checkout", "within": "1900ms"}},
    {"trace": {"complete": ">= 99%", "blames": LINK}},
    {"recovery": {"within": "8s"}},
)


def head(recording):
    verdict = judge(recording)
    return verdict.status, verdict.cause, verdict.exit_code


def test_every_check_of_the_scenario_language_is_in_the_catalogue():
    assert set(catalogue.asked()) == set(CHECKS)


def test_a_contained_fault_holds(new_run):
    recording = hang_contained(new_run(*ALL)).read()
    assert head(recording) == (Status.PASS, None, ExitCode.HELD)
    assert {f.status for f in judge(recording).findings} == {Status.PASS, Status.NOT_EXERCISED}


def test_without_the_protection_the_same_scenario_breaks_on_its_check(new_run):
    verdict = judge(hang_uncontained(new_run(*ALL)).read())
    assert (verdict.status, verdict.exit_code) == (Status.FAIL, ExitCode.BROKEN)
    assert verdict.summary.startswith(f"breaker: {LINK}: never opened; 40 calls reached the link")
    assert {f.check for f in verdict.findings if f.status is Status.FAIL} == {"breaker", "deadline"}


def test_the_same_recording_always_gets_the_same_verdict(new_run):
    recording = hang_uncontained(new_run(*ALL)).read()
    assert judge(recording) == judge(recording)


def test_findings_are_called_as_the_scenario_calls_the_check_and_weigh_as_it_says(new_run):
    checks = ({**BREAKER, "name": "opens in time", "severity": "warning"}, {"recovery": {"within": "8s"}})
    written = hang_uncontained(new_run(*checks))
    verdict = judge(written.read())
    assert [f.severity.value for f in verdict.findings if f.check == "opens in time"] == ["warning"]
    assert verdict.status is Status.PASS


def test_a_fault_that_nobody_felt_decides_nothing(new_run):
    recording = all_is_well(new_run(BREAKER), but=[Stretch(12, 22, "acme", "checkout")]).read()
    assert head(recording) == (Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED, ExitCode.UNKNOWN)
    quiet = new_run(load={"acme": {"browse": 6}}, blast_radius={})
    assert head(all_is_well(quiet).read()) == (Status.UNKNOWN, Cause.NOT_OBSERVED, ExitCode.UNKNOWN)


def test_a_sick_baseline_decides_nothing_even_where_checks_fail(new_run):
    written = new_run(BREAKER)
    written.load_as_planned(status=500)
    written.fault_of_the_plan()
    assert head(written.read()) == (Status.UNKNOWN, Cause.SICK_BASELINE, ExitCode.UNKNOWN)


def test_a_breach_of_isolation_is_final_even_then(new_run):
    written = new_run(BREAKER)
    written.load_as_planned(status=500, foreign="globex")
    assert head(written.read(how=How.INTERRUPTED)) == (Status.FAIL, None, ExitCode.INTERRUPTED)


def test_no_requests_at_all_is_unknown(new_run):
    written = new_run(BREAKER)
    written.fault_of_the_plan()
    assert head(written.read()) == (Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED, ExitCode.UNKNOWN)


def test_an_empty_recording_is_unknown(new_run):
    assert head(new_run(BREAKER).read(windows=False)) == (Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED, ExitCode.UNKNOWN)


def test_an_asked_for_check_that_finds_nothing_is_not_a_pass(new_run):
    recording = hang_contained(new_run({"objective": {"flow": "browse"}})).read()
    assert head(recording) == (Status.UNKNOWN, Cause.NOTHING_JUDGED, ExitCode.UNKNOWN)


def test_without_any_objective_and_any_check_the_defaults_are_judged(new_run):
    recording = hang_contained(new_run(target={"objectives": {}}, blast_radius={})).read()
    assert head(recording) == (Status.FAIL, None, ExitCode.BROKEN)


ANYTHING_GOES = {t: {f: {"errors": "<= 100%"} for f in ("browse", "checkout")} for t in ("acme", "globex")}
CANNOT_FAIL = {
    "everybody may be hurt": ((), {"blast_radius": ANYTHING_GOES}),
    "only warnings": (({**BREAKER, "severity": "warning"},), {}),
    "a bound that always holds": (({"objective": {"flow": "browse", "errors": "<= 100%"}},), {}),
    "slower than the client waits": (({"objective": {"flow": "browse", "p95": "< 5s"}},), {}),
    "a tenant whose load is empty": (
        ({"recovery": {"within": "8s"}},),
        {"load": {"acme": {"browse": 6, "checkout": 4}, "globex": {}}},
    ),
}


@pytest.mark.parametrize("why", list(CANNOT_FAIL))
def test_a_stored_run_whose_plan_cannot_fail_never_passes(new_run, why):
    checks, scenario = CANNOT_FAIL[why]
    verdict = judge(hang_contained(new_run(*checks, **scenario)).read())
    assert (verdict.status, verdict.cause) == (Status.UNKNOWN, Cause.NOTHING_JUDGED)
    assert verdict.summary.startswith("Nothing was put to the test: ")


UNLOADED = {
    "a victim": {"blast_radius": {"initech": {"browse": {"errors": "<= 5%"}}}},
    "the fault's tenant": {"faults": [{"link": LINK, "latency": "10s", "scope": {"tenant": "initech"}}]},
}


@pytest.mark.parametrize("who", list(UNLOADED))
def test_a_claim_about_somebody_without_load_never_passes(new_run, who):
    recording = all_is_well(new_run({"recovery": {"within": "8s"}}, **UNLOADED[who])).read()
    assert judge(recording).status is Status.UNKNOWN


def test_a_check_that_raises_is_a_finding_and_the_others_go_on(new_run, monkeypatch):
    def stumble(_facts, _spec):
        raise ZeroDivisionError("of all things")

    known = catalogue.asked()
    stumbling = replace(known["breaker"], judge=stumble)
    monkeypatch.setattr("harness.checks.judge.asked", lambda: {**known, "breaker": stumbling})
    verdict = judge(hang_contained(new_run(*ALL)).read())
    crashed = [f for f in verdict.findings if f.cause is Cause.CHECK_CRASHED]
    assert [(f.check, f.reason) for f in crashed] == [("breaker", "ZeroDivisionError: of all things")]
    assert (verdict.status, verdict.cause) == (Status.UNKNOWN, Cause.CHECK_CRASHED)
    assert len(verdict.findings) > 30


def test_a_table_that_cannot_be_read_is_unknown_not_a_crash(new_run):
    written = hang_contained(new_run(*ALL))
    recording = written.read()
    next((written.run / "requests").glob("*.parquet")).write_bytes(b"PAR1 not really")
    verdict = judge(recording)
    assert (verdict.status, verdict.cause) == (Status.UNKNOWN, Cause.CHECK_CRASHED)


def test_a_fault_that_was_not_undone_is_a_failure_with_its_own_exit_code(new_run):
    written = new_run(BREAKER)
    written.load_as_planned()
    written.fault_of_the_plan(undone=False)
    verdict = judge(written.read())
    assert (verdict.status, verdict.rollback_confirmed) == (Status.FAIL, False)
    assert verdict.exit_code is ExitCode.NOT_ROLLED_BACK


# -- runs that did not come to their end -------------------------------------------------------------------------------


def interrupted_at(written, second):
    written.load_as_planned(end_s=second)
    written.event(12, Kind.FAULT_APPLIED, fault="fault-1")
    written.event(second, Kind.FAULT_UNDONE, fault="fault-1", by="reaper")
    return written


@pytest.mark.parametrize(("how", "code"), [(How.INTERRUPTED, ExitCode.INTERRUPTED), (None, ExitCode.INTERRUPTED)])
def test_an_interrupted_or_killed_run_is_unknown(new_run, how, code):
    recording = interrupted_at(new_run(BREAKER), 18).read(how=how, ended_s=18)
    verdict = judge(recording)
    assert (verdict.status, verdict.cause, verdict.exit_code) == (Status.UNKNOWN, Cause.INTERRUPTED, code)
    assert verdict.how is How.INTERRUPTED


def test_a_failed_run_tells_why_in_its_summary(new_run):
    recording = interrupted_at(new_run(BREAKER), 18).read(how=How.FAILED, cause="orders exited with 137", ended_s=18)
    verdict = judge(recording)
    assert verdict.summary == "The run failed before its end: orders exited with 137."
    assert verdict.exit_code is ExitCode.COULD_NOT_RUN


def test_nothing_passes_that_did_not_see_its_whole_window(new_run):
    recording = interrupted_at(new_run(*ALL), 18).read(how=None)
    verdict = judge(recording)
    passed = {f.check for f in verdict.findings if f.status is Status.PASS}
    assert passed == {"steady_before", "fault_applied", "rollback"}
    cut = [f for f in verdict.findings if f.check == "blast_radius"]
    assert {(f.status, f.cause) for f in cut} == {(Status.UNKNOWN, Cause.INTERRUPTED)}


def test_a_run_that_ended_before_its_load_began_is_unknown_everywhere(new_run):
    verdict = judge(new_run(*ALL).read(how=How.FAILED, cause="gateway never got ready", windows=False))
    assert {f.status for f in verdict.findings} == {Status.UNKNOWN}
    assert (verdict.cause, verdict.exit_code) == (Cause.INTERRUPTED, ExitCode.COULD_NOT_RUN)


def test_a_claim_that_holds_without_its_protection_is_unproven(new_run):
    written = hang_contained(new_run(*ALL, without=["payments-breaker"]))
    assert head(written.read()) == (Status.UNKNOWN, Cause.UNPROVEN, ExitCode.UNKNOWN)
