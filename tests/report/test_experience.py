"""Who was hurt, and who was not."""

import pytest

from harness.model.result.finding import Finding, Status, Verdict
from harness.recording.columns import Table
from harness.recording.writer import SegmentWriter
from harness.report.answers import answer
from harness.report.observed import observe
from harness.report.sentences import who_was_hurt
from tests.report import verdicts
from tests.report.demo import FAULT, Demo, at

NO_FINDINGS = Verdict(Status.PASS, None, "", ())


def hurt(answers) -> list[tuple[str, str, bool]]:
    return [(*e.pair, e.declared) for e in answers.hurt]


def test_a_victim_that_was_declared_is_hurt_and_nobody_else(observed):
    answers = answer(observed, verdicts.held())
    assert hurt(answers) == [("acme", "checkout", True)]
    assert who_was_hurt(answers) == "acme checkout (declared); nobody else"


def test_bystanders_that_were_hurt_are_named_first(broken):
    answers = answer(observe(broken), NO_FINDINGS)
    assert hurt(answers) == [("acme", "checkout", True), ("globex", "checkout", False), ("initech", "checkout", False)]
    assert who_was_hurt(answers).startswith("globex checkout, initech checkout (NOT declared)")


def test_a_finding_that_accuses_makes_a_bystander_hurt(observed):
    accused = Finding("blast_radius", "x", Status.FAIL, "", "", 9, FAULT, tenant="globex", flow="browse")
    answers = answer(observed, Verdict(Status.FAIL, None, "", (accused,)))
    assert hurt(answers) == [("acme", "checkout", True), ("globex", "browse", False)]


def test_a_moment_is_told_apart_from_a_broken_promise(tmp_path):
    demo = Demo(tmp_path / "run", felt=False, opens_s=None, spans=False)
    recording = demo.write()
    writer = SegmentWriter(recording.path, Table.REQUESTS, source="load-1")
    for number in range(8):
        due = at(30.2 + number / 10)
        row = (due, due, due + 700_000_000, 200, "ok", None, bytes(16), 1, False, None)
        writer.append(("globex", "browse", "list", *row))
    writer.flush()
    answers = answer(observe(recording), NO_FINDINGS)
    assert hurt(answers) == []
    assert who_was_hurt(answers) == "nobody, except for a moment globex browse"


@pytest.mark.parametrize("kind", ["held", "broken", "not_felt"])
def test_every_pair_has_its_three_phases(kind, request):
    recording = request.getfixturevalue(kind)
    for experience in answer(observe(recording), NO_FINDINGS).experiences:
        assert min(served.requests for served in (experience.before, experience.during, experience.after)) > 20
        assert sum(experience.during.outcomes.values()) == experience.during.requests
