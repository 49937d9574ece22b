"""The end of `run` and `check`: judge, write verdict and report, print the answer."""

import json
import shutil
import sys
from pathlib import Path

import click

from harness.model.errors import ExitCode
from harness.report.summary_json import summary as json_summary
from harness.report.terminal import summary as terminal_summary
from harness.workflows.judgement import Judged, judge_and_draw


def conclude(run: Path, *, as_json: bool) -> ExitCode:
    """Judge the recording at *run*, write verdict.json and report.html, print the verdict; return the exit code."""
    judged = judge_and_draw(run)
    tell(judged, as_json=as_json)
    return judged.verdict.exit_code


def tell(judged: Judged, *, as_json: bool) -> None:
    """Print the verdict."""
    recording, verdict, report = judged.recording, judged.verdict, judged.report
    if as_json:
        said = {**json_summary(recording, verdict), "report": str(report)}
        click.echo(json.dumps(said, indent=1, ensure_ascii=False))
        return
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    click.echo(terminal_summary(recording, verdict, width=width, colour=sys.stdout.isatty()))
    click.echo(f"report: {_near(report)}")


def _near(path: Path) -> str:
    """Write a path relative to here where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
