"""Scenarios that make no sense, or could not fail, are refused with their position before anything starts."""

from pathlib import Path

import pytest

from harness.model.errors import UsageError
from harness.model.files.loading import load_sound_scenario, load_sound_target
from tests.model.test_scenario import GOOD

SAMPLE = Path(__file__).parents[2] / "target_stack" / "target.yaml"
BREAKER = "  - breaker: {link: payments -> provider-a, opens_within: 3s, closes_within: 10s}\n"
REPLACED = "  - breaker: {link: payments -> provider-a, opens_within: 3s, closes_within: 8s}\n"
SOUND = GOOD.replace(BREAKER, REPLACED)
INTEGRITY = "  - integrity: {ledger: orders}"


@pytest.fixture(scope="module")
def target():
    return load_sound_target(SAMPLE)


@pytest.fixture
def said(tmp_path, target):
    """Return what is said about SOUND with some text replaced; nothing where it loads."""

    def say(*replaced):
        text = SOUND
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        try:
            load_sound_scenario(path, target)
        except UsageError as error:
            return str(error).replace(f"{tmp_path}/", "")
        return ""

    return say


def test_a_sound_one_loads(said):
    assert said() == ""


CHECKS = {
    'objective: {flow: browse, errors: "< 1"}': "errors: expected a bound with the unit '%'",
    'objective: {flow: browse, errors: "< 20ms"}': "errors: expected a bound with the unit '%'",
    'objective: {flow: browse, errors: "> 5%"}': "errors: the wrong way round",
    'objective: {flow: browse, errors: "<= 150%"}': "outside the measure's range: at most 100%",
    'objective: {flow: browse, errors: "< 0%"}': "'< 0%' can never hold",
    'objective: {flow: browse, p95: "< 250"}': "p95: expected a bound with the unit 'ms'",
    'objective: {flow: browse, p95: ">= 200ms"}': "p95: the wrong way round",
    'objective: {flow: browse, p95: "< 0ms"}': "outside the measure's range",
    'objective: {flow: browse, slowdown: "< 2"}': "slowdown: expected a bound with the unit 'x'",
    'objective: {flow: browse, slowdown: "< 0.5x"}': "slowdown: '< 0.5x' is outside",
    "objective: {flow: browse}": "an objective states a bound",
    "objective: {flow: browse, p95: .nan}": "expected a bound such as",
    "objective: {flow: browse, p95: .inf}": "expected a bound such as",
    "objective: {flow: browse, p95: -5}": "expected a bound such as",
    'retries: {link: orders -> payments, amplification: "<= 0.5"}': "outside the measure's range: at least 1",
    'retries: {link: orders -> payments, amplification: ">= 1.2"}': "amplification: the wrong way round",
    'trace: {complete: "<= 99%"}': "complete: the wrong way round",
    "trace: {complete: 99}": "complete: expected a bound with the unit '%'",
    'refusals: {tenant: acme, share: ">= 30"}': "share: expected a bound with the unit '%'",
    'impact: {flow: browse, p95: ">= 3ms"}': "p95: expected a bound with the unit",
    "recovery: {within: 0s}": "within: zero means nothing here",
    "recovery: {within: 1h}": "within: 3600s is no shorter than the recovery phase, 10s",
    "recovery: {within: 10s}": "within: 10s is no shorter than the recovery phase, 10s",
    "breaker: {link: payments -> provider-a, opens_within: 10s, closes_within: 8s}": "no shorter than the fault, 10s",
    "breaker: {link: payments -> provider-a, opens_within: 0s, closes_within: 8s}": "opens_within: zero means nothing",
    "breaker: {link: payments -> provider-a, opens_within: 3s, closes_within: 10s}": "than the recovery phase",
    'metric: {name: m, bound: "<= 5", after: 10s}': "after: 10s is no shorter than the fault phase",
    'objective: {flow: checkout, tenants: [globex], errors: "< 1%"}': "names globex, which has no load on checkout",
}


@pytest.mark.parametrize(("check", "problem"), CHECKS.items())
def test_a_bound_or_a_time_that_makes_no_sense_is_an_error_with_its_position(said, check, problem):
    message = said((INTEGRITY, f"  - {check}"))
    assert problem in message
    assert message.startswith("mine.yaml:13:")


@pytest.mark.parametrize(
    ("replaced", "problem"),
    [
        ([('{errors: "<= 100%"}', "{}")], "how far may acme checkout be hurt?"),
        ([("  globex: {browse: 6}", "  globex: {}")], "globex has no load"),
        ([("latency: 10s", "latency: 10s\n    scope: {tenant: initech}")], "for initech alone, which has no load"),
        ([("blast_radius:\n", "blast_radius:\n  globex: {}\n")], "globex is in the blast radius without load on any"),
        (
            [("blast_radius:\n", "leak: {flows: {login: {errors: 20%}}}\nblast_radius:\n")],
            "no tenant has load on login",
        ),
        ([("blast_radius:\n", "leak: {errors: 0%}\nblast_radius:\n")], "errors: zero means nothing here"),
    ],
)
def test_a_claim_about_nobody_is_refused(said, replaced, problem):
    assert problem in said(*replaced)


ALWAYS = (
    'objective: {flow: browse, errors: "<= 100%"}',
    'objective: {flow: browse, p95: "<= 5s"}',
    'objective: {flow: browse, errors: "<= 100%", p99: "< 60s"}',
    'trace: {complete: ">= 0%"}',
    "deadline: {flow: browse, within: 1s, share: 0%}",
    'metric: {name: m, bound: ">= 0"}',
)


@pytest.mark.parametrize("check", ALWAYS)
def test_checks_that_hold_whatever_happens_are_no_test(said, check):
    message = said((REPLACED, ""), (INTEGRITY, f"  - {check}"), ("proves:\n  breaker: [payments-breaker]\n", ""))
    if "share: 0%" not in check:
        assert "this scenario cannot fail" in message
    assert message.startswith("mine.yaml:12:")


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_warnings_alone_are_no_test(said, severity):
    proofs = ("proves:\n  breaker: [payments-breaker]\n", "")
    message = said((REPLACED, ""), (INTEGRITY, f"{INTEGRITY}\n    severity: {severity}"), proofs)
    assert ("every check is a warning" in message) == (severity == "warning")


def test_where_everybody_may_be_hurt_without_a_limit_a_check_is_needed(said):
    everybody = (
        'acme: {checkout: {errors: "<= 100%"}, browse: {errors: "<= 100%"}}\n  globex: {browse: {errors: "<= 100%"}}'
    )
    proofs = ("proves:\n  breaker: [payments-breaker]\n", "")
    replaced = [('acme: {checkout: {errors: "<= 100%"}}', everybody), (REPLACED, ""), proofs]
    assert said(*replaced) == ""
    assert "this scenario cannot fail" in said(*replaced, (f"checks:\n{INTEGRITY}\n", ""))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('browse:   {errors: "< 0.5%"', 'browse:   {errors: "< 0.5"', "expected a bound with the unit '%'"),
        ("defaults: {unnoticed: 25ms}", 'defaults: {slowdown: "< 2"}', "expected a bound with the unit 'x'"),
        ("    timeout: 8s", "    timeout: 0s", "zero means nothing here"),
    ],
)
def test_a_target_is_held_to_the_same(tmp_path, old, new, problem):
    path = tmp_path / "target.yaml"
    text = SAMPLE.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=problem):
        load_sound_target(path)
