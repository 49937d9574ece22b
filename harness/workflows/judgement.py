"""From a recording to its verdict and its report, both written beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.checks.judge import judge
from harness.model.errors import DamagedRecordingError, HarnessError
from harness.model.result.finding import Verdict
from harness.recording.reader import Recording
from harness.recording.traceback_file import unforeseen
from harness.recording.verdict_file import write_verdict
from harness.report.html import write_report


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording with its verdict and the report that was drawn of it.

    It has no report where it was changed after its run so that it cannot be drawn any more.
    """

    recording: Recording
    verdict: Verdict
    report: Path | None


def judge_and_draw(run: Path, *, trust: bool = False) -> Judged:
    """Judge the recording at *run* anew and write verdict.json and report.html; with *trust* also a changed one.

    Raises:
        DamagedRecordingError: a file of the recording cannot be read.
        UnforeseenError: a bug of the harness; its traceback lies in *run*.
        HarnessError: the disk is full.
    """
    with _traceback_kept(run):
        recording = Recording(run, trust=trust)
        if not recording.tampered:
            recording.examine()
        verdict = judge(recording)
        try:
            write_verdict(run, verdict)
            return Judged(recording, verdict, _drawn(recording, verdict))
        except OSError as error:
            msg = f"verdict and report cannot be written to {run}: {error.strerror or error}"
            raise HarnessError(msg, hint=f"free some space, then `harness check {run}`") from None


def _drawn(recording: Recording, verdict: Verdict) -> Path | None:
    try:
        return write_report(recording.path, recording, verdict)
    except DamagedRecordingError:
        if not recording.tampered:
            raise
        return None


@contextmanager
def _traceback_kept(run: Path) -> Iterator[None]:
    """Put the traceback of a bug beside the recording that shows it."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001  it is told with its traceback in a file
        raise unforeseen(error, folder=run, doing=f"judging {run}") from None
