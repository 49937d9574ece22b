"""The end of `run` and `check`: judge, write verdict and report, print the answer."""

import json
import shutil
import sys
from pathlib import Path

import click

from harness.checks.judge import judge
from harness.model.errors import ExitCode, HarnessError
from harness.model.result.finding import Verdict
from harness.recording.reader import Recording
from harness.recording.verdict_file import write_verdict
from harness.report.html import write_report
from harness.report.summary_json import summary as json_summary
from harness.report.terminal import summary as terminal_summary


def conclude(run: Path, *, as_json: bool) -> ExitCode:
    """Judge the recording at *run*, write verdict.json and report.html, print the verdict; return the exit code."""
    recording, verdict, report = judge_and_draw(run)
    if as_json:
        click.echo(
            json.dumps({**json_summary(recording, verdict), "report": str(report)}, indent=1, ensure_ascii=False)
        )
        return verdict.exit_code
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    click.echo(terminal_summary(recording, verdict, width=width, colour=sys.stdout.isatty()))
    click.echo(f"report: {_near(report)}")
    return verdict.exit_code


def judge_and_draw(run: Path) -> tuple[Recording, Verdict, Path]:
    """Judge the recording at *run* anew and write verdict.json and report.html; HarnessError where the disk is full."""
    recording = Recording(run)
    verdict = judge(recording)
    try:
        write_verdict(run, verdict)
        report = write_report(run, recording, verdict)
    except OSError as error:
        msg = f"verdict and report cannot be written to {run}: {error.strerror or error}"
        raise HarnessError(msg, hint=f"free some space, then `harness check {run}`") from None
    return recording, verdict, report


def _near(path: Path) -> str:
    """Write a path relative to here where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
