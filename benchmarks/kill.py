"""SIGKILL of the harness at random moments of the fault phase: how long until nothing of the run is left.

    python benchmarks/kill.py [--trials 20] [--seed 1]

Each trial starts the sample stack, waits for the fault, kills the harness, and looks for processes that carry the run's
mark, for its listening ports and for its data folders. The bound is five seconds; what is left after it is printed.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.faults.safety.marked import marked_processes

BOUND_S = 5.0
START_LIMIT_S = 60.0
SCENARIO = """
claim: Whatever happens to the harness, the fault goes away with it.
load: {acme: {browse: 4, checkout: 2}}
phases: {warmup: 0s, baseline: 1s, fault: 8s, recovery: 1s}
faults: [{link: payments -> provider-a, latency: 10s}]
"""


@dataclass(frozen=True)
class Trial:
    killed_after_s: float
    clean_after_s: float
    left: list[str]


def one(chance: random.Random) -> Trial:
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "kill.yaml"
        scenario.write_text(SCENARIO)
        command = [sys.executable, "-m", "harness", "run", str(scenario), "--quiet", "--runs", folder]
        harness = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run = until_fault(Path(folder))
        after_s = chance.uniform(0, 7.5)
        time.sleep(after_s)
        ports, data = listening(run.name), folders(run)
        os.kill(harness.pid, signal.SIGKILL)
        harness.wait()
        killed = time.monotonic()
        while (left := remains(run.name, ports, data)) and time.monotonic() - killed < BOUND_S:
            time.sleep(0.02)
        return Trial(after_s, time.monotonic() - killed, left)


def until_fault(folder: Path) -> Path:
    give_up = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up:
        for events in folder.glob("*/events.jsonl"):
            if "fault.applied" in events.read_text():
                return events.parent
        time.sleep(0.05)
    sys.exit("the run did not come to its fault phase; `harness doctor` looks for the cause")


def listening(run_id: str) -> set[int]:
    pids = {marked.process.pid for marked in marked_processes(run_id)}
    return {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in pids}


def folders(run: Path) -> list[Path]:
    entries = (json.loads(line) for line in (run / "undo.jsonl").read_text().splitlines())
    texts = [value for entry in entries for value in json.dumps(entry).split('"') if "/harness-" in value]
    return [Path(text) for text in texts]


def remains(run_id: str, ports: set[int], data: list[Path]) -> list[str]:
    open_ports = {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    alive = [f"process {marked.process.pid}" for marked in marked_processes(run_id)]
    return alive + [f"port {port}" for port in sorted(ports & open_ports)] + [str(f) for f in data if f.exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    trials = []
    for number in range(1, options.trials + 1):
        trials.append(one(chance))
        last = trials[-1]
        what = f"LEFT: {', '.join(last.left)}" if last.left else f"clean after {last.clean_after_s:.2f} s"
        print(f"{number:3}  killed {last.killed_after_s:4.1f} s into the fault: {what}", flush=True)
    longest, dirty = max(t.clean_after_s for t in trials), sum(bool(t.left) for t in trials)
    print(f"{dirty} of {len(trials)} left something; longest {longest:.2f} s, bound {BOUND_S:g} s, ", end="")
    print(f"ratio {longest / BOUND_S:.2f}")


if __name__ == "__main__":
    main()
