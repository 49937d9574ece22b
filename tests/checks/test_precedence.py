"""What outweighs what; each line of the table in `precedence.py` has a test in which it decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.catalogue import FINAL
from harness.checks.precedence import GRAVEST_FIRST, HELD, Judged, conclude
from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Finding, How, Status

PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.UNKNOWN


def judged(kind, status, cause=None, *, severity=Severity.CRITICAL, asked=True):
    found = Finding(kind, "acme", status, "3", "< 2", 9, None, severity, cause, "Because.")
    return Judged(kind, asked, found, final=kind in FINAL)


OBJECTIVE_HOLDS = judged("objective", PASS)
OBJECTIVE_FAILS = judged("objective", FAIL)
SICK = judged("steady_before", UNKNOWN, Cause.SICK_BASELINE, asked=False)
NOT_OBSERVED = judged("fault_observed", UNKNOWN, Cause.NOT_OBSERVED, asked=False)
NOT_APPLIED = judged("fault_applied", UNKNOWN, Cause.NOT_OBSERVED, asked=False)
NOT_DELIVERED = judged("load_delivered", UNKNOWN, Cause.LOAD_NOT_DELIVERED, asked=False)
UNDECIDED = judged("steady_before", UNKNOWN, Cause.TOO_FEW_SAMPLES, asked=False)
LATE = judged("generator_kept_up", UNKNOWN, Cause.LOAD_NOT_DELIVERED, asked=False)
DIED = judged("services_stayed_up", UNKNOWN, Cause.TELEMETRY_LOST, asked=False)
TOO_FEW = judged("objective", UNKNOWN, Cause.TOO_FEW_SAMPLES)
CRASHED = judged("trace", UNKNOWN, Cause.CHECK_CRASHED)


def verdict(*findings, how=How.COMPLETED):
    conclusion = conclude(findings, how, None)
    return conclusion.status, conclusion.cause


def test_all_held_is_a_pass():
    assert conclude([OBJECTIVE_HOLDS], How.COMPLETED, None).summary == HELD


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([OBJECTIVE_HOLDS, OBJECTIVE_FAILS, TOO_FEW], (FAIL, None)),
        ([OBJECTIVE_HOLDS, TOO_FEW], (UNKNOWN, Cause.TOO_FEW_SAMPLES)),
        ([OBJECTIVE_FAILS, CRASHED], (FAIL, None)),
        ([OBJECTIVE_HOLDS, NOT_DELIVERED, TOO_FEW], (UNKNOWN, Cause.LOAD_NOT_DELIVERED)),
        ([], (UNKNOWN, Cause.NOTHING_JUDGED)),
        ([judged("rollback", PASS, asked=False)], (UNKNOWN, Cause.NOTHING_JUDGED)),
    ],
)
def test_failures_outweigh_unknowns_outweigh_passes(findings, expected):
    assert verdict(*findings) == expected


@pytest.mark.parametrize("void", [SICK, UNDECIDED, NOT_DELIVERED, LATE, DIED, NOT_OBSERVED, NOT_APPLIED])
def test_what_failed_in_a_run_that_proves_nothing_does_not_count(void):
    conclusion = conclude([OBJECTIVE_FAILS, void], How.COMPLETED, None)
    assert (conclusion.status, conclusion.cause) == (UNKNOWN, void.cause)
    assert conclusion.summary.endswith("Because. 1 failed finding does not count then.")


@pytest.mark.parametrize("kind", ["isolation", "integrity", "rollback"])
@pytest.mark.parametrize("void", [SICK, NOT_OBSERVED, NOT_DELIVERED])
def test_what_is_final_at_one_sight_fails_all_the_same(kind, void):
    assert verdict(judged(kind, FAIL), void) == (FAIL, None)
    assert verdict(judged(kind, FAIL), how=How.INTERRUPTED) == (FAIL, None)


@pytest.mark.parametrize("how", [How.INTERRUPTED, How.FAILED])
def test_a_run_that_did_not_end_is_unknown(how):
    assert verdict(OBJECTIVE_HOLDS, how=how) == (UNKNOWN, Cause.INTERRUPTED)
    assert verdict(OBJECTIVE_FAILS, SICK, how=how) == (UNKNOWN, Cause.INTERRUPTED)


def test_the_summary_says_how_it_ended():
    assert conclude([], How.FAILED, "orders died").summary == "The run failed before its end: orders died."


@pytest.mark.parametrize("status", [FAIL, UNKNOWN])
def test_warnings_change_nothing(status):
    warning = judged("blast_radius", status, Cause.NOT_OBSERVED, severity=Severity.WARNING)
    assert verdict(OBJECTIVE_HOLDS, warning) == (PASS, None)


def test_warnings_alone_judge_nothing():
    assert verdict(judged("objective", PASS, severity=Severity.WARNING)) == (UNKNOWN, Cause.NOTHING_JUDGED)


causes = st.sampled_from(GRAVEST_FIRST)


@given(st.lists(causes, min_size=1))
def test_the_gravest_cause_is_named(several):
    undecided = [judged("objective", UNKNOWN, cause) for cause in several]
    assert verdict(*undecided) == (UNKNOWN, min(several, key=GRAVEST_FIRST.index))


kinds = st.sampled_from(["objective", "isolation", "rollback", "steady_before", "fault_observed", "blast_radius"])
statuses = st.sampled_from(list(Status))
anything = st.builds(judged, kinds, statuses, causes, severity=st.sampled_from(list(Severity)), asked=st.booleans())


@given(st.lists(anything), st.sampled_from(list(How)))
def test_a_pass_is_never_given_with_a_critical_finding_that_did_not_pass(findings, how):
    status, cause = verdict(*findings, how=how)
    critical = [j.finding.status for j in findings if j.finding.severity is Severity.CRITICAL]
    assert (status is UNKNOWN) == (cause is not None)
    if status is PASS:
        assert how is How.COMPLETED
        assert set(critical) <= {PASS, Status.NOT_EXERCISED}


@given(st.lists(anything), st.sampled_from(list(How)))
def test_the_order_of_the_findings_does_not_matter(findings, how):
    assert verdict(*findings, how=how) == verdict(*reversed(findings), how=how)


NOT_EXERCISED = judged("bulkhead", Status.NOT_EXERCISED)


def test_what_never_had_to_act_takes_no_part_beside_what_had():
    assert verdict(OBJECTIVE_HOLDS, NOT_EXERCISED) == (PASS, None)
    assert verdict(OBJECTIVE_FAILS, NOT_EXERCISED) == (FAIL, None)


@pytest.mark.parametrize("beside", [[], [judged("blast_radius", PASS, asked=False)]])
def test_a_run_in_which_nothing_that_was_asked_for_had_to_act_is_unknown(beside):
    assert verdict(NOT_EXERCISED, *beside) == (UNKNOWN, Cause.NOTHING_JUDGED)
