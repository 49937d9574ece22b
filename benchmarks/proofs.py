"""Every scenario's claim, several times intact, and once for each protection whose absence must break it.

    python benchmarks/proofs.py [--times 5] [--quick] [--only intact|without] [--keep FOLDER] [SCENARIO ...]

Prints one Markdown row a scenario as it is decided. With --keep the recordings stay, else they are removed.
Exit code 1 if an intact run did not hold, or if a run without a protection did not fail on the check that it names.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness.model.files.scenario import read_scenario_head
from harness.runner.library import all_scenarios

RUN_LIMIT_S = 300


def main() -> int:
    """Run what was asked; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["intact", "without"])
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    paths = [path for path in all_scenarios() if path.stem in (asked.scenarios or [path.stem])]
    print("| scenario | intact | without | check that must fail | failed |\n|---|---|---|---|---|")
    return 0 if all([_scenario(path, asked) for path in paths]) else 1  # noqa: C419 - every one is run


def _scenario(path: Path, asked: argparse.Namespace) -> bool:
    scenario = read_scenario_head(path)
    held, told = True, ""
    if asked.only != "without":
        ends = Counter(_run(path, asked)["verdict"] for _ in range(asked.times))
        held, told = ends["held"] == asked.times, ", ".join(f"{n} {how}" for how, n in ends.items())
    proofs = [] if asked.only == "intact" else [_proof(path, check, names, asked) for check, names in scenario.proofs]
    for (_, words), shown in zip(proofs or [(True, "| – | – | – |")], [told, *[""] * len(proofs)], strict=False):
        print(f"| {path.stem if shown or not proofs else ''} | {shown} {words}", flush=True)
    return held and all(failed for failed, _ in proofs)


def _proof(path: Path, check: str, names: tuple[str, ...], asked: argparse.Namespace) -> tuple[bool, str]:
    said = _run(path, asked, "--without", ",".join(names))
    failed = sorted({f["check"] for f in said["findings"] if f["status"] == "fail" and f["severity"] == "critical"})
    ok = said["verdict"] == "broken" and check in failed
    return ok, f"| {', '.join(names)} | {check} | {'yes' if ok else 'NO'}: {said['verdict']}, {', '.join(failed)} |"


def _run(path: Path, asked: argparse.Namespace, *more: str) -> dict:
    with tempfile.TemporaryDirectory() as removed:
        runs = str(asked.keep or removed)
        command = [sys.executable, "-m", "harness", "run", str(path), "--json", "--quiet", "--runs", runs, *more]
        ran = subprocess.run(
            [*command, *(["--quick"] if asked.quick else [])],
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
    try:
        return json.loads(ran.stdout)
    except ValueError:
        print(ran.stderr, file=sys.stderr)
        return {"verdict": f"exit {ran.returncode}", "findings": []}


if __name__ == "__main__":
    sys.exit(main())
