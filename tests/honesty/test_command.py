"""The real command on stored recordings that are damaged, changed, cut short or prove nothing: never exit 0."""

import json
import shutil
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.model.result.finding import How
from harness.recording.manifest import hash_files, read_manifest, write_manifest
from tests.honesty.acts import BROWSE, SLIGHT, well
from tests.honesty.bad_endings import APPLIED, ASKED
from tests.recordings import Written, small_plan


def stored(tmp_path, *acts, without=(), sealed=True, **read) -> Path:
    """Write a recording that holds, or what *acts* make of it, and seal it as a run is sealed."""
    plan = small_plan(scenario={"checks": [BROWSE], "faults": SLIGHT}, without=list(without))
    written = Written(tmp_path / "run", plan)
    for act in acts or (well(),):
        act(written)
    written.read(**read)
    if sealed:
        write_manifest(written.run, read_manifest(written.run).model_copy(update={"files": hash_files(written.run)}))
    return written.run


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_healthy_run_itself_holds(tmp_path):
    assert main(["check", str(stored(tmp_path))]) == 0


@pytest.mark.parametrize("table", ["requests", "spans", "metrics"])
def test_a_byte_was_changed(tmp_path, table):
    run = stored(tmp_path)
    flip(next((run / table).glob("*.parquet")))
    assert main(["check", str(run)]) == 2


@pytest.mark.parametrize("table", ["requests", "spans", "metrics"])
def test_a_segment_is_gone(tmp_path, table):
    run = stored(tmp_path)
    next((run / table).glob("*.parquet")).unlink()
    assert main(["check", str(run)]) in (2, 3)


def test_the_events_are_gone(tmp_path):
    run = stored(tmp_path)
    (run / "events.jsonl").unlink()
    assert main(["check", str(run)]) in (2, 3)


def test_the_last_line_of_the_events_was_cut(tmp_path):
    run = stored(tmp_path)
    lines = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(lines[:-20])
    assert main(["check", str(run)]) == 2


def test_lines_are_torn_in_a_run_without_a_seal(tmp_path):
    run = stored(tmp_path, sealed=False)
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    (run / "events.jsonl").write_text("".join(line[: len(line) // 2] + "\n" for line in lines))
    assert main(["check", str(run)]) in (2, 3)


def test_an_event_was_added(tmp_path):
    run = stored(tmp_path)
    with (run / "events.jsonl").open("a") as events:
        events.write('{"time": 1, "kind": "note", "text": "all was well"}\n')
    assert main(["check", str(run)]) == 2


def test_a_bound_was_loosened(tmp_path):
    run = stored(tmp_path)
    write_manifest(run, read_manifest(run))
    edit(run / "run.json", '"p95": "< 250ms"', '"p95": "< 99999ms"')
    assert main(["check", str(run)]) == 2


def test_a_killed_run_was_declared_completed(tmp_path):
    run = stored(tmp_path, how=How.INTERRUPTED)
    edit(run / "run.json", '"interrupted"', '"completed"')
    assert main(["check", str(run)]) == 2


def test_a_run_was_interrupted(tmp_path):
    assert main(["check", str(stored(tmp_path, how=How.INTERRUPTED))]) in (2, 130)


def test_a_run_was_killed(tmp_path):
    assert main(["check", str(stored(tmp_path, how=None))]) not in (0, 1)


def test_a_run_failed(tmp_path):
    assert main(["check", str(stored(tmp_path, how=How.FAILED, cause="a bug"))]) in (2, 3)


@pytest.mark.parametrize("acts", [(ASKED,), (ASKED, APPLIED)], ids=["asked", "applied"])
def test_a_run_was_killed_with_the_fault_in_place(tmp_path, acts):
    assert main(["check", str(stored(tmp_path, *acts, how=None))]) == 5


def test_without_a_protection_it_held_all_the_same(tmp_path, capsys):
    run = stored(tmp_path, without=("breaker",))
    assert main(["check", str(run), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["cause"] == "unproven"


def test_an_old_verdict_is_not_believed(tmp_path):
    run = stored(tmp_path)
    assert main(["check", str(run)]) == 0
    shutil.rmtree(run / "requests")
    assert main(["check", str(run)]) in (2, 3)


def test_another_runs_requests_were_put_in_its_place(tmp_path):
    run = stored(tmp_path)
    (tmp_path / "other").mkdir()
    other = stored(tmp_path / "other", lambda w: w.load_as_planned())
    shutil.copytree(other / "requests", run / "requests", dirs_exist_ok=True)
    assert main(["check", str(run)]) == 2


def test_nothing_was_recorded(tmp_path):
    assert main(["check", str(stored(tmp_path, lambda w: None))]) == 2
