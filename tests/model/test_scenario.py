"""What can be wrong with a scenario, and the message that says where and what was meant."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.model.errors import ExitCode, UsageError
from harness.model.files.faults import Fault
from harness.model.files.scenario import Scenario, load_scenario, read_scenario_head
from harness.model.files.target import Target, load_target
from harness.model.run.plan import Plan

REPOSITORY = Path(__file__).parents[2]
SAMPLE_TARGET = REPOSITORY / "target_stack" / "target.yaml"

GOOD = """\
claim: When the provider hangs, only acme suffers.
load:
  acme: {browse: 6, checkout: 4}
  globex: {browse: 6}
phases: {warmup: 2s, baseline: 10s, fault: 10s, recovery: 10s}
faults:
  - link: payments -> provider-a
    latency: 10s
blast_radius:
  acme: {checkout: {errors: "<= 100%"}}
checks:
  - breaker: {link: payments -> provider-a, opens_within: 3s, closes_within: 10s}
  - integrity: {ledger: orders}
proves:
  breaker: [payments-breaker]
"""


METRIC = "  - integrity: {ledger: orders}\n  - metric: {name: %s, bound: '%s', measure: max}\n"


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target(SAMPLE_TARGET)


@pytest.fixture
def error(tmp_path, target):
    """Return what is said about GOOD with one thing replaced, without the folder's name."""

    def say(old: str, new: str) -> str:
        assert old in GOOD
        path = tmp_path / "mine.yaml"
        path.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(UsageError) as raised:
            load_scenario(path, target)
        assert raised.value.exit_code is ExitCode.USAGE
        return str(raised.value).replace(f"{tmp_path}/", "")

    return say


def test_the_good_one_is_read_whole(tmp_path, target):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    scenario = load_scenario(path, target)
    assert scenario.load == {"acme": {"browse": 6, "checkout": 4}, "globex": {"browse": 6}}
    assert (scenario.faults[0].kind, scenario.faults[0].place) == ("latency", "payments -> provider-a")
    assert [entry.id for entry in scenario.checks] == ["breaker", "integrity"]
    assert scenario.phases.total_s == 32


@pytest.mark.parametrize("path", sorted((REPOSITORY / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_scenario_fits_the_sample_target(path, target):
    assert load_scenario(path, target).claim


def test_a_scenario_survives_being_stored(tmp_path, target):
    for path in (REPOSITORY / "scenarios").glob("*.yaml"):
        scenario = load_scenario(path, target)
        assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    latency:", "    latncy:", "mine.yaml:8:5: unknown key 'latncy'; did you mean 'latency'?"),
        ("opens_within", "open_within", "mine.yaml:12:45: unknown key 'open_within'; did you mean 'opens_within'?"),
        ("blast_radius:", "blastradius:", "mine.yaml:9:1: unknown key 'blastradius'; did you mean 'blast_radius'?"),
        ("opens_within: 3s, ", "", "mine.yaml:12:14: the key 'opens_within' is missing"),
    ],
)
def test_misspelt_and_missing_keys(error, old, new, message):
    assert message in error(old, new).splitlines()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  globex:", "  glebex:", "mine.yaml:4:3: unknown tenant 'glebex'; did you mean 'globex'?"),
        ("  globex: {browse", "  globex: {brows", "mine.yaml:4:12: unknown flow 'brows'; did you mean 'browse'?"),
        (
            "link: payments -> provider-a\n",
            "link: payments -> provider-c\n",
            "mine.yaml:7:11: unknown link 'payments -> provider-c'; did you mean 'payments -> provider-b'?",
        ),
        ("ledger: orders", "ledger: order", "mine.yaml:13:25: unknown ledger 'order'; did you mean 'orders'?"),
        ("  breaker: [", "  braker: [", "mine.yaml:15:3: unknown check 'braker'; did you mean 'breaker'?"),
        ("[payments-breaker]", "[nothing-like-it]", "mine.yaml:15:13: unknown protection 'nothing-like-it'; known: "),
        (
            "acme: {checkout: {errors",
            "globex: {checkout: {errors",
            "mine.yaml:10:12: globex has no load on checkout: nothing could be judged",
        ),
    ],
)
def test_names_that_the_target_does_not_know(error, old, new, message):
    assert error(old, new).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ("latency: 10s", "latency: 10", "mine.yaml:8:14", "expected a duration with its unit"),
        ("latency: 10s", "latency: soon", "mine.yaml:8:14", "expected a duration with its unit"),
        ('"<= 100%"', '"a lot"', "mine.yaml:10:29", "expected a bound such as"),
        ("checkout: 4", "checkout: -4", "mine.yaml:3:31", "greater than 0"),
        ("recovery: 10s", "recovery: 500ms", "mine.yaml:5:", "recovery must last at least 1s"),
        ("latency: 10s", "latency: 10s\n    start: 11s", "mine.yaml:7:5", "does not fit into the fault phase of 10s"),
        ("latency: 10s", "latency: 10s\n    down: true", "mine.yaml:7:5", "a fault is exactly one of"),
        ("latency: 10s", "toxicity: 5%", "mine.yaml:7:5", "a fault is exactly one of"),
        ("link: payments -> provider-a\n", "start: 1s\n", "mine.yaml:7:5", "latency needs a link"),
        (
            "- link: payments -> provider-a\n    latency: 10s",
            "- {surge: {tenant: initech, times: 5}}",
            "mine.yaml:7:22",
            "unknown tenant 'initech'",
        ),
        ("  - integrity: {ledger: orders}", "  - {}", "mine.yaml:13:5", "an entry is exactly one of"),
        ("claim: When the provider hangs, only acme suffers.", "claim: x", "mine.yaml:1:8", "at least 10 characters"),
    ],
)
def test_values_that_cannot_be(error, old, new, place, reason):
    said = error(old, new)
    assert any(line.startswith(place) and reason in line for line in said.splitlines()), said


def test_a_key_given_twice_is_an_error_where_the_second_stands(error):
    assert error("  globex: {", "  acme: {") == "mine.yaml:4:3: the key 'acme' is given twice"


def test_broken_yaml_is_an_error_with_its_place(error):
    assert error("acme: {browse: 6,", "acme: {browse: 6").startswith("mine.yaml:")


def test_an_empty_and_a_missing_file(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    with pytest.raises(UsageError, match=r"empty\.yaml:1:1: the file is empty"):
        read_scenario_head(tmp_path / "empty.yaml")
    with pytest.raises(UsageError, match=r"none\.yaml: no such file"):
        read_scenario_head(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", "nested too deeply, or an alias that holds itself"),
        ("[" * 5000, "nested too deeply, or an alias that holds itself"),
        ("a: !!python/object:os.system x", ":1:4: not a valid value: could not determine a constructor"),
        ("a: 1\n---\nb: 2", ":2:1: not valid YAML: but found another document"),
        ("a\x00b", "not valid YAML"),
        (GOOD.replace("checkout: 4", "checkout: .inf"), ":3:31: load.acme.checkout: Input should be a finite number"),
        (GOOD.replace("latency: 10s", "latency: 9999999h"), ":8:14: faults.0.latency.latency: expected a duration of"),
        (GOOD.replace("latency: 10s", "latency: 2020-13-45"), ":8:14: not a valid value: month must be in 1..12"),
    ],
    ids=["cycle", "depth", "python tag", "two documents", "NUL", "infinite rate", "endless", "no such day"],
)
def test_nasty_files(tmp_path, target, text, message):
    path = tmp_path / "nasty.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        load_scenario(path, target)
    assert message in str(raised.value)


def test_every_fault_of_a_file_is_told_at_once(error):
    said = error("latency: 10s", "latncy: 10s\n    start: soon")
    assert {line.split(" ")[0] for line in said.splitlines()} == {"mine.yaml:8:5:", "mine.yaml:9:12:"}


# -- whatever the file holds -------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
WORDS = st.sampled_from(
    [
        "claim",
        "load",
        "acme",
        "browse",
        "faults",
        "link",
        "latency",
        "checks",
        "breaker",
        "10s",
        "5%",
        "phases",
        "surge",
    ]
)
TREES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def read(path: Path, target: Target) -> Scenario | None:
    """Return the scenario, or None for a UsageError that names the file; anything else rises."""
    try:
        return load_scenario(path, target)
    except UsageError as error:
        if not str(error).startswith(str(path)):
            raise
        return None


QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@QUIET
@given(text=st.text(max_size=200))
def test_any_text_gives_a_scenario_or_a_usage_error(tmp_path, target, text):
    path = tmp_path / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    assert read(path, target) is None


@QUIET
@given(content=st.binary(max_size=60))
def test_any_bytes_give_a_scenario_or_a_usage_error(tmp_path, target, content):
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    read(path, target)


@QUIET
@given(tree=TREES)
def test_any_yaml_gives_a_scenario_or_a_usage_error(tmp_path, target, tree):
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    read(path, target)


@QUIET
@given(key=st.sampled_from(sorted(yaml.safe_load(GOOD))), tree=TREES)
def test_a_good_scenario_with_any_part_replaced_gives_a_scenario_or_a_usage_error(tmp_path, target, key, tree):
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(GOOD), key: tree}), encoding="utf-8")
    read(path, target)


@QUIET
@given(cut=st.integers(0, len(GOOD)), put=st.text("{}[]:,-&*!|>'\"%@` \n\t#a1", max_size=6))
def test_a_good_scenario_with_anything_put_in_gives_a_scenario_or_a_usage_error(tmp_path, target, cut, put):
    path = tmp_path / "any.yaml"
    path.write_text(GOOD[:cut] + put + GOOD[cut:])
    read(path, target)


def test_proofs_are_sets_switched_off_together_and_further_ones(tmp_path, target, error):
    path = tmp_path / "proofs.yaml"
    path.write_text(GOOD.replace("[payments-breaker]", "[payments-breaker, orders-breaker, [payments-bulkhead]]"))
    assert load_scenario(path, target).proofs == [
        ("breaker", ("payments-breaker", "orders-breaker")),
        ("breaker", ("payments-bulkhead",)),
    ]
    said = error("[payments-breaker]", "[[payments-breaker, nothing-like-it]]")
    assert said.startswith("mine.yaml:15:32: unknown protection 'nothing-like-it'")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("{link: payments -> provider-a, kill: true}", "a kill has no link"),
        ("{service: orders, latency: 1s}", "latency needs a link such as 'payments -> provider-a'"),
        ("{kill: true}", "kill needs a service such as 'orders'"),
        ("{service: orders, drop_index: x}", "drop_index needs a database, and orders is none"),
        (
            "{link: orders -> orders-db, black_hole: true}",
            "black_hole looks at single HTTP requests, and this link speaks postgres",
        ),
        (
            "{link: payments -> provider-a, bandwidth: 1, scope: {tenant: acme}}",
            "bandwidth touches whole connections: a scope goes with latency",
        ),
        ("{link: payments -> provider-a, hang: true, scope: {tenant: acne}}", "unknown tenant 'acne'; did you mean"),
        ("{service: orders, kill: true, ramp: 1s}", "kill has no ramp"),
        ("{service: orders, kill: true, repeat: {every: 2s, times: 2}}", "a repeated fault needs a duration"),
        (
            "{service: orders, kill: true, duration: 2s, repeat: {every: 2s, times: 2}}",
            "a repeated fault needs a duration shorter than `every`",
        ),
        (
            "{service: orders, kill: true, duration: 1s, repeat: {every: 4s, times: 4}}",
            "it does not fit into the fault phase of 10s",
        ),
        ("{service: orders, kill: true, start: 8s..4s}", "expected an earliest and a latest time"),
        ("{flag: {name: x, value: true}, link: payments -> provider-a}", "a flag has no link"),
        ("{service: orders, memory_ceiling: 80}", "expected a size with its unit such as '80MB'"),
        ("{link: payments -> provider-a, delay: {latency: 1s, jitter: 1s}}", "jitter needs a distribution"),
    ],
)
def test_faults_that_make_no_sense(error, fault, reason):
    assert reason in error("link: payments -> provider-a\n    latency: 10s", fault)


@pytest.mark.parametrize(
    "fault",
    [
        {"link": "payments -> provider-a", "latency": "2s", "scope": {"tenant": "acme", "share": "20%", "next": 3}},
        {"link": "payments -> provider-a", "answer": {"status": 503, "headers": {"Retry-After": "2"}}},
        {"service": "orders", "clock_shift": "-1h", "start": "1s..6s"},
        {"service": "orders", "memory_ceiling": "80MB", "duration": "1s", "repeat": {"every": "3s", "times": 3}},
        {"service": "orders-db", "terminate_backends": "500ms"},
        {"flag": {"name": "x", "value": False}},
    ],
)
def test_a_fault_survives_being_stored(fault):
    made = Fault.model_validate(fault)
    assert Fault.model_validate_json(made.model_dump_json()) == made


def test_a_latency_with_a_scope_is_a_delay_of_requests():
    fault = Fault.model_validate({"link": "a -> b", "latency": {"latency": "2s", "jitter": "1s"}, "scope": {"next": 1}})
    assert (fault.kind, fault.toxic) == ("delay", None)
    assert (fault.request_delay.latency, fault.request_delay.distribution) == (2.0, "uniform")


def test_a_random_start_and_repeats_follow_the_seed(tmp_path, target):
    path = tmp_path / "again.yaml"
    repeated = "latency: 1s\n    start: 1s..3s\n    duration: 1s\n    repeat: {every: 2s, times: 3}"
    path.write_text(GOOD.replace("latency: 10s", repeated))
    scenario = load_scenario(path, target)
    plans = [
        Plan(name="x", scenario=scenario, target=target, phases=scenario.phases, seed=seed) for seed in (1, 1, 2, 3)
    ]
    first, same, *others = (plan.fault_windows_s(0) for plan in plans)
    assert first == same
    assert all(other != first for other in others)
    assert [round(end - start, 6) for start, end in first] == [1, 1, 1]
    assert [round(b[0] - a[0], 6) for a, b in pairwise(first)] == [2, 2]
    assert 13 <= first[0][0] <= 15
    assert plans[0].fault_window_s(0) == (first[0][0], first[-1][1])


OLD_NAMES = {
    "answer": ("link: payments -> provider-a", "{status: 503}", "respond"),
    "hang": ("link: payments -> provider-a", "true", "black_hole"),
    "memory_ceiling": ("service: orders", "80MB", "memory_limit"),
    "descriptor_ceiling": ("service: orders", "{limit: 40}", "fd_limit"),
    "cpu_hog": ("service: orders", "2", "cpu_stress"),
}


@pytest.mark.parametrize(("old", "place", "value", "name"), [(old, *told) for old, told in OLD_NAMES.items()])
def test_an_old_name_of_a_fault_keeps_working_and_is_stored_under_todays(old, place, value, name):
    fault = Fault.model_validate(yaml.safe_load(f"{{{place}, {old}: {value}}}"))
    assert fault.kind == name
    assert fault == Fault.model_validate(yaml.safe_load(f"{{{place}, {name}: {value}}}"))
    stored = fault.model_dump(mode="json")
    assert (name in stored, old in stored) == (True, False)
    assert Fault.model_validate(stored) == fault


def test_mistakes_below_an_old_name_are_found_where_they_stand(error):
    said = error("link: payments -> provider-a\n    latency: 10s", "{link: payments -> provider-a, answer: {statu: 1}}")
    assert "unknown key 'statu'; did you mean 'status'?" in said


@pytest.mark.parametrize("both", ["answer: {status: 500}, respond: {status: 500}", "hang: true, black_hole: true"])
def test_an_old_name_beside_todays_is_a_mistake(error, both):
    said = error("link: payments -> provider-a\n    latency: 10s", f"{{link: payments -> provider-a, {both}}}")
    assert "unknown key" in said


def test_a_fault_of_an_older_recording_is_read_whatever_it_was_stored_with():
    stored = {"link": "a -> b", "hang": True, "answer": None, "cpu_hog": None, "memory_ceiling": None, "down": False}
    fault = Fault.model_validate(stored)
    assert (fault.kind, fault.place) == ("black_hole", "a -> b")


@pytest.mark.parametrize(
    ("name", "bound"), [("queue_bytes", "<= 5ms"), ("queue_age", "<= 5s"), ("age_seconds", "< 5%")]
)
def test_a_bound_whose_unit_does_not_fit_the_metric_is_an_error_with_its_position(tmp_path, target, name, bound):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("  - integrity: {ledger: orders}\n", METRIC % (name, bound)))
    with pytest.raises(UsageError, match=r"mine.yaml:14:\d+: the bound .* has a unit that does not fit"):
        load_scenario(path, target)


@pytest.mark.parametrize(("name", "bound"), [("age_seconds", "<= 5ms"), ("full_ratio", "< 5%"), ("queue_age", "<= 5")])
def test_a_bound_that_fits_its_metric_is_taken(tmp_path, target, name, bound):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("  - integrity: {ledger: orders}\n", METRIC % (name, bound)))
    assert load_scenario(path, target).checks[-1].metric.name == name
