"""The exit code is a contract: nothing unforeseen, and no reader who leaves, ever looks like a verdict."""

import errno
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import inspect
from harness.cli.main import main
from harness.model.errors import ExitCode, HarnessError, RollbackError
from harness.model.result.finding import How, Status, Verdict
from harness.recording.manifest import read_manifest
from harness.runner.engine import _Run
from harness.workflows import judgement, trial
from tests.recordings import Written

OLD = Path(__file__).parents[1] / "data" / "recording-0.1.0"
PLAN = ["run", "payment-provider-hang", "--quick", "--quiet"]


@pytest.fixture
def broken(tmp_path):
    return shutil.copytree(OLD / "broken", tmp_path / "broken")


def raising(error):
    def act(*_args, **_options):
        raise error

    return act


def only_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# -- what nobody foresaw -----------------------------------------------------------------------------------------------

BUGS = [
    ValueError("two\nlines \x1b[31m"),
    KeyError("x"),
    RuntimeError(),
    RecursionError("deep"),
    MemoryError(),
    AssertionError(),
    NotImplementedError(),
    EOFError(),  # click takes it for Ctrl-C
    BrokenPipeError(errno.EPIPE, "a socket of ours"),  # click takes it for a reader who left
    OSError(errno.EPIPE, "a pipe of ours"),
    ExceptionGroup("several", [TypeError("one")]),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
def test_a_bug_in_any_command_is_3_one_line_and_a_file_with_the_traceback(bug, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(inspect, "all_scenarios", raising(bug))
    assert main(["list"]) == 3
    line = only_line(capsys)
    assert line.startswith(f"error: a bug of the harness in `harness list`: {type(bug).__name__}")
    assert "\x1b" not in line
    file = Path(re.search(r"report it with (\S+)$", line)[1])
    assert "Traceback (most recent call last)" in file.read_text()
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("argv", [["check"], ["check", "--json"], ["report"]])
def test_a_bug_while_judging_leaves_its_traceback_beside_the_recording(argv, broken, monkeypatch, capsys):
    monkeypatch.setattr(judgement, "write_report", raising(TypeError("bad")))
    assert main([*argv, str(broken)]) == 3
    (file,) = broken.glob("traceback-*.txt")
    assert only_line(capsys).endswith(f"TypeError: bad; report it with {file}")
    monkeypatch.undo()
    assert main(["check", str(broken)]) == 1


def test_a_command_that_cannot_be_imported_is_3(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("harness.cli.main.import_module", raising(ImportError("no module named x")))
    assert main(["list"]) == 3
    assert "ImportError: no module named x" in only_line(capsys)


def test_a_traceback_that_can_be_written_nowhere_is_still_3(monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent/folder")
    monkeypatch.setattr(inspect, "all_scenarios", raising(ValueError("x")))
    assert main(["list"]) == 3
    assert "its traceback could not be written anywhere" in only_line(capsys)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.UsageError("no"), 4),
        (click.exceptions.Exit(7), 7),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (HarnessError("no"), 3),
        (RollbackError("no"), 5),
    ],
)
def test_what_was_foreseen_keeps_its_meaning(error, code, monkeypatch, capsys):
    monkeypatch.setattr(inspect, "all_scenarios", raising(error))
    assert main(["list"]) == code
    assert "bug" not in capsys.readouterr().err


def test_a_system_exit_keeps_its_meaning(monkeypatch):
    monkeypatch.setattr(inspect, "all_scenarios", raising(SystemExit(9)))
    with pytest.raises(SystemExit, match="9"):
        main(["list"])


# -- a run -------------------------------------------------------------------------------------------------------------


def run_that(monkeypatch, tmp_path, act):
    async def go(run):
        await act(run.session)

    monkeypatch.setattr(_Run, "go", go)
    code = main([*PLAN, "--runs", str(tmp_path / "runs")])
    (run,) = (tmp_path / "runs").iterdir()
    return code, run


def write_into(session, *, undone):
    written = Written(session.path, session.plan)
    written.fault_of_the_plan(undone=undone)
    for event in written._events:
        session.emit(event)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
def test_a_bug_in_a_run_is_3_and_the_manifest_is_closed_as_failed(bug, monkeypatch, tmp_path, capsys):
    async def act(session):
        write_into(session, undone=True)
        raise bug

    code, run = run_that(monkeypatch, tmp_path, act)
    manifest = read_manifest(run)
    assert (code, manifest.how) == (3, How.FAILED)
    assert manifest.cause.startswith(f"a bug of the harness in the run: {type(bug).__name__}")
    assert [line for line in capsys.readouterr().err.splitlines() if "error:" in line] == [
        f"error: {manifest.cause}"
    ] or ("\x1b" in str(bug))
    (file,) = run.glob("traceback-*.txt")
    assert str(file) in manifest.cause
    assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_a_bug_in_a_run_whose_rollback_is_not_confirmed_is_5(monkeypatch, tmp_path):
    async def act(session):
        write_into(session, undone=False)
        raise TypeError

    assert run_that(monkeypatch, tmp_path, act)[0] == 5


def test_an_end_that_nobody_asked_for_closes_the_manifest_and_goes_on(monkeypatch, tmp_path):
    async def act(session):
        raise SystemExit(9)

    with pytest.raises(SystemExit, match="9"):
        run_that(monkeypatch, tmp_path, act)
    (run,) = (tmp_path / "runs").iterdir()
    manifest = read_manifest(run)
    assert (manifest.how, manifest.cause) == (How.FAILED, "ended by SystemExit")


def test_an_unconfirmed_rollback_outweighs_a_recording_that_cannot_be_judged(monkeypatch, tmp_path):
    async def act(session):
        raise RollbackError("it may still be in place")

    monkeypatch.setattr(trial, "judge_and_draw", raising(HarnessError("cannot be judged")))
    assert run_that(monkeypatch, tmp_path, act)[0] == 5


def test_a_shared_run_can_be_read_by_all(monkeypatch, tmp_path):
    async def act(session):
        raise HarnessError("enough")

    monkeypatch.setattr(_Run, "go", lambda run: act(run.session))
    assert main([*PLAN, "--runs", str(tmp_path / "runs"), "--share"]) == 3
    (run,) = (tmp_path / "runs").iterdir()
    assert stat.S_IMODE(run.stat().st_mode) == 0o755


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("status", Status)
def test_a_rollback_that_is_not_confirmed_outweighs_every_other_end(how, status):
    verdict = Verdict(status, None, "", findings=(), rollback_confirmed=False, how=how)
    assert verdict.exit_code is ExitCode.NOT_ROLLED_BACK


def test_a_run_that_was_killed_with_its_fault_in_place_is_5(tmp_path, capsys):
    written = Written(tmp_path / "run")
    written.load_as_planned(end_s=15)
    written.fault_of_the_plan(undone=False)
    written.read(how=None)
    assert main(["check", str(written.run)]) == 5


# -- a reader who leaves -----------------------------------------------------------------------------------------------


def shell(line, **names):
    harness = f"{sys.executable} -m harness"
    command = line.replace("harness", harness, 1).format(**names)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("harness check {run} | true", 1),
        ("harness check {run} --json | true", 1),
        ("harness check {run} | head -c 1", 1),
        ("harness check {run} >&-", 1),
        ("harness check {run} <&- >&- 2>&-", 1),
        ("harness check {run} 2>&1 | true", 1),
        ("harness check {run} >/dev/null 2>/dev/full", 1),
        ("harness list | head -1", 0),
        ("harness list --json | true", 0),
        ("harness list >&-", 0),
        ("harness faults | head -1", 0),
        ("harness faults --json | true", 0),
        ("harness plan payment-provider-hang | true", 0),
        ("harness --help | true", 0),
        ("harness check no-such-run 2>&1 | true", 4),
        ("harness check no-such-run 2>&-", 4),
        ("harness rnu 2>/dev/full", 4),
    ],
)
def test_a_reader_who_leaves_never_changes_the_exit_code(line, code, broken):
    done = shell(line, run=broken)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_output_that_cannot_be_written_is_told(broken):
    done = shell("harness check {run} >/dev/full", run=broken)
    assert (done.returncode, done.stderr) == (3, "error: the output cannot be written: No space left on device\n")
