"""`harness check` and `harness report` of stored runs: which one is meant, is it whole, is it intact."""

import json
import shutil
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.model.result.finding import Cause
from harness.recording.manifest import hash_files, read_manifest, write_manifest
from harness.recording.verdict_file import read_verdict

HELD = Path(__file__).parents[1] / "data" / "recording-0.1.0" / "held"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(HELD, tmp_path / "runs" / "20260101-120000-000-small")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# -- which one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named", ["20260101-120000-000-small", "runs/20260101-120000-000-small", "./runs/20260101-120000-000-small/"]
)
def test_a_run_is_named_by_its_id_or_its_folder(run, named, capsys):
    assert main(["check", named]) == 0
    assert main(["report", named]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("20260101-120000-000-small/report.html")


def test_the_newest_run_is_meant_without_a_name(run, capsys):
    shutil.copytree(run, run.with_name("20250101-120000-000-small"))
    assert main(["check", "--json"]) == 0
    assert "20260101" in json.loads(capsys.readouterr().out)["report"]


def test_runs_may_lie_elsewhere(run, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert main(["check", run.name]) == 4
    assert main(["check", run.name, "--runs", str(run.parent)]) == 0


@pytest.mark.parametrize("command", ["check", "report"])
def test_an_id_that_is_mistyped_is_a_usage_error_that_names_the_nearest(run, command, capsys):
    assert main([command, "20260101-120000-000-smal"]) == 4
    assert "did you mean '20260101-120000-000-small'?" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["", "x" * 5000, "a\x00b", "\udcff", ".", "/", "/dev/null", "runs"])
def test_what_cannot_be_a_run_is_a_usage_error(run, named, capsys):
    assert main(["check", named]) == 4
    assert "not a recording" in capsys.readouterr().err


# -- damage ------------------------------------------------------------------------------------------------------------


def unhash(run):
    write_manifest(run, read_manifest(run).model_copy(update={"files": {}}))


@pytest.mark.parametrize("command", ["check", "report"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("requests/hand-00000.parquet", b""),
        ("logs/other.parquet", b"junk"),
        ("events.jsonl", b"[]\n"),
        ("events.jsonl", b'{"kind": "note"}\n'),
        ("events.jsonl", b"\xff\n"),
        ("events.jsonl", b"[" * 10_000),
        ("run.json", b"[]"),
        ("run.json", b""),
    ],
)
def test_a_damaged_recording_is_3_and_one_line_that_names_the_file(run, command, name, content, capsys):
    unhash(run)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(content)
    assert main([command, run.name]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {Path('runs') / run.name / name}")
    assert err.count("\n") == 1


def test_events_of_a_kind_that_nobody_knows_change_nothing(run):
    unhash(run)
    with (run / "events.jsonl").open("a") as events:
        events.write('{"time": 1, "kind": "plugin.thing"}\n')
    assert main(["check", run.name]) == 0


def test_keys_that_nobody_knows_are_named_and_change_nothing(run, capsys):
    unhash(run)
    document = json.loads((run / "run.json").read_text())
    document["plan"]["scenario"]["owner"] = "me"
    (run / "run.json").write_text(json.dumps(document))
    assert main(["check", run.name]) == 0
    assert capsys.readouterr().err == "note: run.json has keys that this version ignores: plan.scenario.owner\n"


# -- tampering ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["requests/hand-00000.parquet", "spans/hand-00000.parquet", "metrics/hand-00000.parquet"]
)
def test_a_changed_byte_is_unknown_tampered_and_names_the_file(run, name, capsys):
    flip(run / name)
    assert main(["check", run.name]) == 2
    assert name in " ".join(capsys.readouterr().out.split())
    assert read_verdict(run).cause is Cause.TAMPERED


def test_a_forged_event_is_unknown_unless_the_recording_is_trusted(run, capsys):
    with (run / "events.jsonl").open("a") as events:
        events.write('{"time": 1, "kind": "note", "text": "all was well"}\n')
    assert main(["check", run.name]) == 2
    assert "--trust" in " ".join(capsys.readouterr().out.split())
    assert main(["check", run.name, "--trust"]) == 0


def test_a_loosened_limit_is_unknown(run):
    manifest = read_manifest(run)
    write_manifest(run, manifest)  # a digest comes with it
    text = (run / "run.json").read_text()
    assert '"p95": "< 250ms"' in text
    (run / "run.json").write_text(text.replace('"p95": "< 250ms"', '"p95": "< 250000ms"'))
    assert main(["check", run.name]) == 2


def test_a_lost_and_an_added_segment_are_unknown(run, capsys):
    shutil.move(run / "spans" / "hand-00000.parquet", run / "spans" / "mine-00000.parquet")
    assert main(["check", run.name, "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert "spans/hand-00000.parquet is missing" in said["summary"]
    assert "spans/mine-00000.parquet was added" in said["summary"]


def test_a_report_of_a_changed_recording_says_so(run, capsys):
    with (run / "events.jsonl").open("a") as events:
        events.write("\n")
    assert main(["report", run.name]) == 2
    out, err = capsys.readouterr()
    assert out.endswith("report.html\n")
    assert "events.jsonl was changed" in err


def test_a_changed_file_that_cannot_be_read_any_more_is_unknown_too(run, capsys):
    (run / "requests" / "hand-00000.parquet").write_bytes(b"junk")
    assert main(["check", run.name]) == 2
    assert "requests/hand-00000.parquet was changed" in " ".join(capsys.readouterr().out.split())
    assert main(["check", run.name, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2
    assert main(["check", run.name, "--trust"]) == 3


def test_what_check_and_report_write_does_not_count_as_a_change(run):
    write_manifest(run, read_manifest(run).model_copy(update={"files": hash_files(run)}))
    assert [main([command, run.name]) for command in ("check", "report", "check")] == [0, 0, 0]
