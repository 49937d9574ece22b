"""From a recording to its verdict and its report, both written beside it."""

from dataclasses import dataclass
from pathlib import Path

from harness.checks.judge import judge
from harness.model.errors import HarnessError
from harness.model.result.finding import Verdict
from harness.recording.reader import Recording
from harness.recording.verdict_file import write_verdict
from harness.report.html import write_report


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording with its verdict and the report that was drawn of it."""

    recording: Recording
    verdict: Verdict
    report: Path


def judge_and_draw(run: Path) -> Judged:
    """Judge the recording at *run* anew and write verdict.json and report.html.

    Raises:
        HarnessError: the disk is full.
    """
    recording = Recording(run)
    verdict = judge(recording)
    try:
        write_verdict(run, verdict)
        report = write_report(run, recording, verdict)
    except OSError as error:
        msg = f"verdict and report cannot be written to {run}: {error.strerror or error}"
        raise HarnessError(msg, hint=f"free some space, then `harness check {run}`") from None
    return Judged(recording, verdict, report)
