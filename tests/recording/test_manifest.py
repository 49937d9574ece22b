"""run.json: a document of a format of its own; reading it ends in a manifest or in one clear line."""

import json
import os

import pytest

from harness.model.errors import DamagedRecordingError, ExitCode, HarnessError, UsageError
from harness.recording import migrations
from harness.recording.manifest import Manifest, digest_of, hash_files, read_manifest, write_manifest
from harness.recording.reader import Recording
from harness.runner.planning import make_plan
from tests.recordings import Written, small_plan

HUGE = 10**350


@pytest.fixture
def run(tmp_path):
    return Written(tmp_path / "run").read().path


def edit(run, change):
    document = json.loads((run / "run.json").read_text())
    change(document)
    (run / "run.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Expecting value"),
        (b"[]", "it holds a list, not an object"),
        (b"null", "it holds a NoneType, not an object"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": 1' + b"0" * 5000 + b"}", "a number of 5001 digits"),
        (b'{"format": 2, "started_ns": NaN}', "NaN is not a JSON number"),
        (b'{"format": 2}', "id: Field required (and 3 more)"),
        (b"\x00" * 100, "Expecting value"),
    ],
)
def test_what_is_no_manifest_is_damage_told_in_one_line(tmp_path, content, problem):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(DamagedRecordingError) as told:
        Recording(tmp_path)
    assert str(told.value).startswith(f"{tmp_path / 'run.json'}: damaged: ")
    assert problem in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.exit_code is ExitCode.COULD_NOT_RUN


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", 5),
        ("plan", []),
        ("plan", None),
        ("command", "harness run"),
        ("started_ns", "1"),
        ("started_ns", True),
        ("started_ns", 1.0),
        ("started_ns", -1),
        ("started_ns", HUGE),
        ("ended_ns", 2**63),
        ("how", "finished"),
        ("how", 1),
        ("cause", 1),
        ("windows", {}),
        ("windows", [{"phase": "fault", "start_ns": 2, "end_ns": 1}]),
        ("windows", [{"phase": "calm", "start_ns": 1, "end_ns": 2}]),
        ("windows", [{"phase": "fault", "start_ns": HUGE, "end_ns": HUGE}]),
        ("versions", {"python": 3}),
        ("host", []),
        ("files", []),
        ("files", {"events.jsonl": 7}),
    ],
)
def test_a_value_of_the_wrong_type_is_damage_that_names_its_key(run, key, value):
    edit(run, lambda document: document.__setitem__(key, value))
    with pytest.raises(DamagedRecordingError, match=rf"run\.json: damaged: {key}"):
        Recording(run)


@pytest.mark.parametrize("key", ["id", "plan", "command", "started_ns"])
def test_a_missing_key_is_damage_that_names_it(run, key):
    edit(run, lambda document: document.pop(key))
    with pytest.raises(DamagedRecordingError, match=f"damaged: {key}: Field required"):
        Recording(run)


def test_a_huge_number_in_the_plan_is_damage(run):
    edit(run, lambda document: document["plan"]["scenario"]["load"]["acme"].__setitem__("browse", HUGE))
    with pytest.raises(DamagedRecordingError, match=r"plan\.scenario\.load\.acme\.browse"):
        Recording(run)


# -- the format --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [migrations.FORMAT + 1, 99, HUGE])
def test_a_newer_format_is_refused_with_the_way_out(run, found):
    edit(run, lambda document: document.__setitem__("format", found))
    with pytest.raises(
        HarnessError, match=r"is newer than this harness, which reads formats up to \d+: update it"
    ) as e:
        Recording(run)
    assert e.value.exit_code is ExitCode.COULD_NOT_RUN


@pytest.mark.parametrize("found", [0, -1, True, "1", 1.0, None, [], {}])
def test_what_is_no_format_is_refused(run, found):
    edit(run, lambda document: document.__setitem__("format", found))
    with pytest.raises(HarnessError, match="its format is a number from 1"):
        Recording(run)


def test_older_formats_migrate_step_by_step(monkeypatch):
    steps = {1: lambda d: {**d, "seen": [1]}, 2: lambda d: {**d, "seen": [*d["seen"], 2]}}
    monkeypatch.setattr(migrations, "STEPS", steps)
    monkeypatch.setattr(migrations, "FORMAT", 3)
    assert migrations.migrate({"format": 1}) == {"format": 3, "seen": [1, 2]}
    assert migrations.migrate({"format": 3}) == {"format": 3}


def test_there_is_a_step_from_every_earlier_format():
    assert sorted(migrations.STEPS) == list(range(1, migrations.FORMAT))


def test_unknown_keys_are_ignored_at_any_depth_and_named(run):
    plan = read_manifest(run).plan

    def add(document):
        document["signed_by"] = "ops"
        document["windows"][0]["colour"] = "red"
        document["plan"]["scenario"]["owner"] = {"team": "payments"}
        document["plan"]["scenario"]["faults"][0]["latency"]["shape"] = "sine"
        document["plan"]["target"]["services"]["orders"]["replicas"] = 3

    edit(run, add)
    recording = Recording(run)
    assert recording.plan == plan
    assert sorted(recording.unknown_keys) == [
        "plan.scenario.faults.0.latency.shape",
        "plan.scenario.owner",
        "plan.target.services.orders.replicas",
        "signed_by",
        "windows.0.colour",
    ]


def test_a_tenants_own_keys_are_no_unknown_keys(tmp_path):
    plan = small_plan(target={"tenants": {"acme": {"region": "eu"}, "globex": {}, "initech": {}}})
    recording = Written(tmp_path / "run", plan).read()
    assert (recording.plan, recording.unknown_keys) == (plan, ())


def test_defaults_are_frozen_when_a_plan_is_written(run):
    document = json.loads((run / "run.json").read_text())
    assert document["plan"]["scenario"]["guardrails"] == []
    assert document["plan"]["target"]["flows"]["browse"]["timeout"] == "5s"


@pytest.mark.parametrize(
    "bound", ["<= 1234567", "<= 0.1234567", "<= 99.99999%", "< 12345678ms", ">= 0.000001", "<= 123456789012"]
)
def test_a_bound_comes_back_with_all_its_digits(tmp_path, bound):
    plan = small_plan(scenario={"checks": [{"metric": {"name": "x", "bound": bound}}]})
    assert Written(tmp_path / "run", plan).read().plan == plan


@pytest.mark.parametrize("name", ["payment-provider-hang", "noisy-neighbour", "slow-orders-database"])
def test_a_shipped_plan_comes_back_as_it_was_run(tmp_path, name):
    plan = make_plan(name, target=None, seed=3, quick=False, without=[])
    recording = Written(tmp_path / "run", plan).read()
    assert recording.plan.scenario == plan.scenario
    assert recording.unknown_keys == ()


# -- what stands in the place of run.json ------------------------------------------------------------------------------


def test_a_folder_without_run_json_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="not a recording"):
        Recording(tmp_path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.symlink_to("elsewhere.json"), "it is a symbolic link"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a symbolic link"),
    ],
)
@pytest.mark.parametrize("name", ["run.json", "events.jsonl"])
def test_what_is_no_file_is_damage(run, name, make, problem):
    (run / name).unlink()
    make(run / name)
    with pytest.raises(DamagedRecordingError, match=rf"{name}: damaged: {problem}"):
        Recording(run).examine()


# -- its own digest ----------------------------------------------------------------------------------------------------


def sealed(run):
    write_manifest(run, read_manifest(run).model_copy(update={"files": hash_files(run)}))


def test_a_run_that_ended_has_a_digest_of_what_its_manifest_says(run):
    sealed(run)
    document = json.loads((run / "run.json").read_text())
    assert document["digest"] == digest_of(document)
    assert Recording(run).tampered == ()


def test_layout_and_order_are_not_what_it_says(run):
    sealed(run)
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(dict(reversed(document.items())), indent=4))
    assert Recording(run).tampered == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["plan"]["scenario"]["blast_radius"].update(globex={"browse": {}}),
        lambda d: d["plan"]["target"]["objectives"]["browse"].update(p95="< 9000ms"),
        lambda d: d["windows"][2].update(end_ns=d["windows"][2]["start_ns"] + 1),
        lambda d: d.update(how="interrupted"),
        lambda d: d["files"].pop("events.jsonl"),
        lambda d: d.update(files={}),
        lambda d: d.update(note="harmless"),
    ],
)
def test_a_changed_manifest_is_told(run, change):
    sealed(run)
    edit(run, change)
    assert "run.json was changed" in Recording(run).tampered
    assert Recording(run, trust=True).tampered == ()


def test_a_run_that_did_not_end_has_nothing_to_verify(run):
    edit(run, lambda document: document["plan"].update(seed=1))
    assert Recording(run).tampered == ()


def test_an_argument_that_is_no_text_is_written_so_that_it_can_be_read(tmp_path):
    plan = small_plan()
    manifest = Manifest(id="x", plan=plan, command=["harness", "run", "\udcff.yaml"], started_ns=1, files={"a": "b"})
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path).command == ["harness", "run", "?.yaml"]
    assert Recording(tmp_path).tampered == ("a is missing",)
