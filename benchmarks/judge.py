"""How long judging and rendering a large recording takes, and how much memory, against the bounds that we set.

python -m benchmarks.judge [--requests 1000000] [--tenants 20]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.synthetic import SPANS_A_REQUEST, Size, write_synthetic

SECONDS_BOUND = 30.0
MEMORY_BOUND_MB = 1024.0
_JUDGE = "judge"


def main() -> None:
    """Write a recording, judge and render it in a process of its own, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument(f"--{_JUDGE}", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        judge_and_render(options.judge)
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "synthetic"
        run.mkdir()
        write_synthetic(run, Size(options.requests, options.tenants))
        print(f"{options.requests:,} requests, {options.requests * SPANS_A_REQUEST:,} spans, {options.tenants} tenants")
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "benchmarks.judge", f"--{_JUDGE}", str(run)], check=True)


def judge_and_render(run: Path) -> None:
    """Do what `harness check` does; print seconds and peak memory against the bounds."""
    from harness.checks.judge import judge
    from harness.recording.reader import Recording
    from harness.report.html import render

    began = time.perf_counter()
    recording = Recording(run)
    verdict = judge(recording)
    judged = time.perf_counter()
    judged_mb = _peak_mb()
    page = render(recording, verdict)
    total_s, total_mb = time.perf_counter() - began, _peak_mb()
    print(f"verdict: {verdict.status.value}, {len(verdict.findings)} findings: {verdict.summary}")
    print(f"judge    {judged - began:6.1f} s                         {judged_mb:6.0f} MB")
    print(f"render   {total_s - (judged - began):6.1f} s                         {len(page) / 1e6:6.1f} MB page")
    print(f"in all   {total_s:6.1f} s of {SECONDS_BOUND:g} s ({total_s / SECONDS_BOUND:.2f})", end="")
    print(f"     {total_mb:6.0f} MB of {MEMORY_BOUND_MB:g} MB ({total_mb / MEMORY_BOUND_MB:.2f})")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
