"""Recordings of earlier versions are judged for ever, with the verdict that they had."""

import json
import shutil
from pathlib import Path

import pytest

from harness.checks.judge import judge
from harness.cli.main import main
from harness.model.result.finding import Status
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.recording.reader import Recording

OLD = Path(__file__).parents[1] / "data" / "recording-0.1.0"


@pytest.mark.parametrize(("name", "status", "code"), [("held", Status.PASS, 0), ("broken", Status.FAIL, 1)])
def test_a_recording_of_0_1_0_has_its_verdict(name, status, code, tmp_path, capsys):
    run = shutil.copytree(OLD / name, tmp_path / name)
    recording = Recording(run)
    assert json.loads((run / "run.json").read_text())["format"] == 1
    assert (recording.tampered, recording.unknown_keys, recording.damaged_lines) == ((), (), 0)
    assert recording.rows(Table.REQUESTS) > 600
    assert recording.events_of(Kind("fault.observed"))
    verdict = judge(recording)
    assert (verdict.status, int(verdict.exit_code)) == (status, code), verdict.summary
    assert main(["check", str(run)]) == code
    capsys.readouterr()
