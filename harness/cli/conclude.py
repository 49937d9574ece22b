"""The end of `run` and `check`: judge, write verdict and report, print the answer."""

import json
import shutil
import sys
from pathlib import Path

import click

from harness.cli.errors import show_note
from harness.model.errors import ExitCode
from harness.recording.reader import Recording
from harness.report.summary_json import summary as json_summary
from harness.report.terminal import summary as terminal_summary
from harness.workflows.judgement import Judged, judge_and_draw

_UNKNOWN_KEYS_SHOWN = 3


def conclude(run: Path, *, as_json: bool, trust: bool = False) -> ExitCode:
    """Judge the recording at *run*, write verdict.json and report.html, print the verdict; return the exit code."""
    judged = judge_and_draw(run, trust=trust)
    tell(judged, as_json=as_json)
    return judged.verdict.exit_code


def tell(judged: Judged, *, as_json: bool) -> None:
    """Print the verdict."""
    tell_of_unknown_keys(judged.recording)
    click.echo(_as_json(judged) if as_json else _as_text(judged))


def tell_of_unknown_keys(recording: Recording) -> None:
    """Name what stands in run.json and means nothing to this version."""
    if keys := recording.unknown_keys:
        more = f" and {len(keys) - _UNKNOWN_KEYS_SHOWN} more" if len(keys) > _UNKNOWN_KEYS_SHOWN else ""
        show_note(f"run.json has keys that this version ignores: {', '.join(keys[:_UNKNOWN_KEYS_SHOWN])}{more}")


def _as_json(judged: Judged) -> str:
    recording, verdict, report = judged.recording, judged.verdict, judged.report
    if report is None:
        said = {"run": recording.manifest.id, "status": verdict.status.value, "summary": verdict.summary}
        return json.dumps({**said, "exit_code": int(verdict.exit_code), "report": None}, indent=1, ensure_ascii=False)
    return json.dumps({**json_summary(recording, verdict), "report": str(report)}, indent=1, ensure_ascii=False)


def _as_text(judged: Judged) -> str:
    if judged.report is None:
        return judged.verdict.summary
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    shown = terminal_summary(judged.recording, judged.verdict, width=width, colour=sys.stdout.isatty())
    return f"{shown}\nreport: {_near(judged.report)}"


def _near(path: Path) -> str:
    """Write a path relative to here where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
