"""What a set of outcomes proves, without a run."""

from pathlib import Path

import pytest

from harness.model.errors import ExitCode, UsageError
from harness.model.files.scenario import Scenario, Severity
from harness.model.files.target import Target
from harness.model.result.finding import Cause, Finding, Status, Verdict
from harness.workflows.prove.cases import Case, Suite
from harness.workflows.prove.drawn import html, markdown
from harness.workflows.prove.matrix import matrix_of
from harness.workflows.prove.outcome import Meaning, outcome_of
from harness.workflows.prove.run import Began, Ended, run_cases
from harness.workflows.prove.store import FILE, Store
from tests.recordings import LINK, small_scenario, small_target

PATH = Path("hang.yaml")
BREAKER, BULKHEAD, SHARED, SPARE = "payments-breaker", "payments-bulkhead", "breaker-shared", "spare"
OFF = {"env": {"OFF": "it"}}


@pytest.fixture
def suite():
    """One scenario that proves a breaker, and a mutant; a bulkhead and a spare protection that nothing names."""
    kinds = {BREAKER: "breaker", BULKHEAD: "bulkhead", SHARED: "mutant", SPARE: "deadline"}
    declared = {name: {"kind": kind, "service": "payments", "off": OFF} for name, kind in kinds.items()}
    checks = [
        {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}},
        {"recovery": {"within": "5s"}},
    ]
    proves = {"breaker": [BREAKER], "blast_radius": [[SHARED]]}
    scenario = Scenario.model_validate(small_scenario(checks=checks, proves=proves))
    return Suite(Target.model_validate(small_target(protections=declared)), ((PATH, scenario),))


def verdict(status, *failed, cause=None):
    findings = tuple(Finding(check, LINK, Status.FAIL, "never opened", "opens <= 4 s", 40, None) for check in failed)
    warning = Finding("objective", "x", Status.FAIL, "", "", 1, None, severity=Severity.WARNING)
    return Verdict(status, cause, "Because.", (*findings, warning))


HELD = verdict(Status.PASS)
INTACT = Case("hang", PATH)
NO_BREAKER, MUTANT = Case("hang", PATH, (BREAKER,), "breaker"), Case("hang", PATH, (SHARED,), "blast_radius")


def outcomes(intact=HELD, breaker=None, mutant=None):
    given = {INTACT: intact, NO_BREAKER: breaker, MUTANT: mutant}
    made = (outcome_of(case, v, run="r", seconds=61) for case, v in given.items() if v is not None)
    return {outcome.case: outcome for outcome in made}


BROKE, BROKE_MUTANT = verdict(Status.FAIL, "breaker"), verdict(Status.FAIL, "blast_radius")


def test_each_scenario_runs_intact_and_once_for_each_set_that_it_names(suite):
    assert suite.cases == (INTACT, NO_BREAKER, MUTANT)


def test_what_broke_on_the_named_check_is_proven(suite):
    matrix = matrix_of(suite, outcomes(HELD, BROKE, BROKE_MUTANT))
    assert [row.meaning for row in matrix.rows] == [Meaning.HELD, Meaning.PROVEN, Meaning.PROVEN]
    assert matrix.rows[1].told == f"breaker: {LINK}: never opened (limit opens <= 4 s)"
    assert (str(matrix.protections), matrix.protections.missing) == ("1 of 3", (BULKHEAD, SPARE))
    assert (str(matrix.mutants), matrix.mutants.missing) == ("1 of 1", ())
    assert matrix.unnamed == (BULKHEAD, SPARE)
    assert matrix.idle_checks == ("hang: recovery",)
    assert matrix.exit_code is ExitCode.HELD


@pytest.mark.parametrize(
    ("without", "meaning", "code"),
    [
        (verdict(Status.UNKNOWN, cause=Cause.UNPROVEN), Meaning.UNPROVEN, ExitCode.BROKEN),
        (verdict(Status.FAIL, "trace"), Meaning.ELSEWHERE, ExitCode.BROKEN),
        (verdict(Status.UNKNOWN, cause=Cause.NOT_OBSERVED), Meaning.UNDECIDED, ExitCode.UNKNOWN),
        (None, None, ExitCode.UNKNOWN),
    ],
)
def test_anything_else_proves_nothing(suite, without, meaning, code):
    matrix = matrix_of(suite, outcomes(HELD, without, BROKE_MUTANT))
    assert (matrix.rows[1].meaning, matrix.exit_code, str(matrix.protections)) == (meaning, code, "0 of 3")


@pytest.mark.parametrize(
    ("intact", "code"),
    [
        (verdict(Status.FAIL, "breaker"), ExitCode.BROKEN),
        (verdict(Status.UNKNOWN, cause=Cause.SICK_BASELINE), ExitCode.UNKNOWN),
    ],
)
def test_a_removal_proves_nothing_while_the_intact_claim_does_not_hold(suite, intact, code):
    matrix = matrix_of(suite, outcomes(intact, BROKE, BROKE_MUTANT))
    assert [row.meaning for row in matrix.rows[1:]] == [Meaning.UNDECIDED] * 2
    assert matrix.exit_code is code


def test_a_proof_goes_on_where_it_was_stopped(suite, tmp_path):
    ran = []

    def run_case(case):
        if len(ran) == 1:
            raise KeyboardInterrupt
        ran.append(case)
        return "r", HELD

    with pytest.raises(KeyboardInterrupt):
        list(run_cases(suite, Store(tmp_path), run_case))
    (tmp_path / FILE).open("a").write('{"case": "cut sho')
    steps = list(run_cases(suite, Store(tmp_path), lambda case: ("r", BROKE)))
    assert [(step.number, step.of) for step in steps if isinstance(step, Began)] == [(2, 3), (3, 3)]
    assert [step.meaning for step in steps if isinstance(step, Ended)] == [Meaning.PROVEN, Meaning.ELSEWHERE]
    assert set(Store(tmp_path).outcomes()) == {case.id for case in suite.cases}


def test_a_store_that_is_none_is_a_usage_error(tmp_path):
    (tmp_path / FILE).write_text("[]\n{}\n")
    with pytest.raises(UsageError, match=r"proof.jsonl:1: not the outcome of a case"):
        Store(tmp_path).outcomes()


def test_the_matrix_is_drawn_as_text_and_as_a_page(suite):
    matrix = matrix_of(suite, outcomes(HELD, BROKE, None))
    text, page = markdown(matrix), html(matrix)
    assert "| hang | payments-breaker | breaker | ✓ proven | breaker: payments -> provider-a: never opened" in text
    assert "| hang | breaker-shared | blast_radius | – not run |  |" in text
    assert "protections proven: 1 of 3; missing: payments-bulkhead, spare" in text
    assert "payments -&gt; provider-a" in page
    assert "http" not in page.replace("http-equiv", "")
