"""The numbers of a whole run against their bounds: start, memory, idle CPU, load, length, report.

    python benchmarks/run.py [--scenario payment-provider-hang]

Starts the sample stack twice: once for a default and a quick run, once to stand idle for ten seconds.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.model.files.scenario import Phase
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.recording.reader import Recording

HARNESS = [sys.executable, "-m", "harness"]
IDLE_S = 10.0
MB = 1_000_000


@dataclass(frozen=True)
class Row:
    what: str
    value: float
    bound: float
    unit: str

    def __str__(self) -> str:
        held, ratio = "held" if self.value <= self.bound else "MISSED", self.value / self.bound
        return f"{self.what:<44} {self.value:8.2f} {self.unit:<3} bound {self.bound:7.1f}  ratio {ratio:5.2f}  {held}"


@dataclass(frozen=True)
class Run:
    took_s: float
    memory_bytes: int
    recording: Recording


def timed_run(scenario: str, *options: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        began, highest = time.monotonic(), 0
        command = [*HARNESS, "run", scenario, "--quiet", "--runs", folder, *options]
        harness = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while harness.poll() is None:
            highest = max(highest, resident_bytes(psutil.Process(harness.pid)))
            time.sleep(2)
        took_s = time.monotonic() - began
        kept = Path(tempfile.mkdtemp()) / "run"
        next(Path(folder).iterdir()).rename(kept)
    return Run(took_s, highest, Recording(kept))


def resident_bytes(root: psutil.Process) -> int:
    """Memory of a process and its descendants; a page that several share counts once (Linux: PSS)."""
    total = 0
    with suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def rows_of(recording: Recording) -> Iterator[Row]:
    start = next(event.number("seconds") for event in recording.events_of(Kind.STACK_STARTED))
    yield Row("stack from nothing to all healthy", start, 5.0, "s")
    metrics = recording.frame(Table.METRICS, ["time", "service", "name", "value"])
    window = recording.window(Phase.BASELINE)
    assert window is not None
    busy = metrics[(metrics["name"] == "host_cpu_busy_ratio") & metrics["time"].between(window.start_ns, window.end_ns)]
    yield Row("machine busy at default load, mean", busy["value"].mean() * 100, 70, "%")
    starts = recording.frame(Table.REQUESTS, ["intended_start", "start", "step"])
    lag_ms = (starts["start"] - starts["intended_start"])[starts["start"] > 0] / 1e6
    yield Row("generator's start lag, p99", lag_ms.quantile(0.99), 20, "ms")
    yield Row("report", (recording.path / "report.html").stat().st_size / MB, 2.5, "MB")


@contextmanager
def standing_stack() -> Iterator[psutil.Process]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*HARNESS, "up", "--runs", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("entry"):
                break
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def cpu_seconds(root: psutil.Process) -> float:
    """CPU time of the harness, its reaper and everything that it started, so far."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def idle_cpu() -> Row:
    with standing_stack() as root:
        time.sleep(3)
        before = cpu_seconds(root)
        time.sleep(IDLE_S)
        return Row("idle, of one core", (cpu_seconds(root) - before) / IDLE_S * 100, 10, "%")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="payment-provider-hang")
    scenario = parser.parse_args().scenario
    run = timed_run(scenario)
    for row in rows_of(run.recording):
        print(row, flush=True)
    print(Row("all of it resident, highest moment", run.memory_bytes / MB, 2000, "MB"), flush=True)
    print(Row("a default run in all", run.took_s, 75, "s"), flush=True)
    print(Row("a quick run in all", timed_run(scenario, "--quick").took_s, 30, "s"), flush=True)
    print(idle_cpu(), flush=True)


if __name__ == "__main__":
    main()
