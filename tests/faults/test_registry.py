"""Where runs are found from any directory."""

import os
from pathlib import Path

import pytest

from harness.faults.safety.marked import Identity
from harness.faults.safety.registry import Registered, live_runs, register, registered, state_folder


def run(name="r", harness=None):
    return Registered(name, f"/runs/{name}", f"/runs/{name}/undo.jsonl", str(harness or Identity.of(os.getpid())), "")


def test_a_registered_run_is_found_with_all_that_was_said():
    path = register(run())
    assert list(registered()) == [(path, run())]


def test_a_run_whose_process_is_gone_is_registered_and_not_live():
    register(run("dead", Identity(os.getpid(), 1.0)))
    register(run("live"))
    assert [found.run_id for found in live_runs()] == ["live"]


def test_a_broken_file_is_passed_over(own_registry):
    (state_folder() / "broken.json").write_text('{"run_id": ')
    (state_folder() / "other.json").write_text('{"run_id": "x"}')
    assert list(registered()) == []


def test_without_a_home_that_can_be_written_the_temporary_folder_serves(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = state_folder({"HOME": "/proc/nonexistent"})
    assert found.parent == tmp_path
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("environ", [{"XDG_STATE_HOME": "{}"}, {"HOME": "{}"}])
def test_the_users_own_folder_comes_first(environ, tmp_path):
    found = state_folder({name: value.format(tmp_path) for name, value in environ.items()})
    assert found.is_relative_to(tmp_path)
    assert Path(found).is_dir()
