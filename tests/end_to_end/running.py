"""Running the command line as a user does, and looking at what it leaves."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HARNESS = [sys.executable, "-m", "harness"]
PATIENCE_S = 180  # a hang guard, not an expectation


@dataclass(frozen=True)
class Outcome:
    """What a finished command left."""

    code: int
    out: str
    err: str
    folder: Path  # of the only recording, where one was made

    @property
    def verdict(self) -> dict[str, Any]:
        return json.loads((self.folder / "verdict.json").read_text())

    def failed_checks(self) -> set[str]:
        return {f["check"] for f in self.verdict["findings"] if f["status"] == "fail" and f["severity"] == "critical"}


def run_harness(*arguments: str, cwd: Path) -> Outcome:
    """Run a command to its end in *cwd*."""
    done = subprocess.run(
        [*HARNESS, *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr, newest_run(cwd))


def newest_run(cwd: Path) -> Path:
    return max((cwd / "runs").glob("*/"), default=cwd / "runs")


def wait_for_event(cwd: Path, kind: str, *, phase: str | None = None) -> Path:
    """Wait until the newest run in *cwd* has recorded such an event; return the run's folder."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        run = newest_run(cwd)
        events = run / "events.jsonl"
        if events.exists() and any(_matches(line, kind, phase) for line in events.read_text().splitlines()):
            return run
        time.sleep(0.05)
    msg = f"no event {kind} {phase or ''} in {PATIENCE_S}s"
    raise AssertionError(msg)


def _matches(line: str, kind: str, phase: str | None) -> bool:
    event = json.loads(line)
    return event["kind"] == kind and (phase is None or event.get("phase") == phase)


def processes_of(run_id: str) -> list[psutil.Process]:
    """Return every living process that carries the mark of this run."""
    return [process for process in psutil.process_iter() if _carries(process, run_id)]


def _carries(process: psutil.Process, run_id: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("HARNESS_RUN") == run_id
    except psutil.Error:
        return False


def wait_until_nothing_is_left(run_id: str, *, within_s: float) -> list[str]:
    """Return the command lines of what still lives after *within_s*; nothing is the promise."""
    deadline = time.monotonic() + within_s
    while (left := processes_of(run_id)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [" ".join(process.cmdline()) for process in left]
