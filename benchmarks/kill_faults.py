"""SIGKILL of the harness, of its reaper, or of both, at random moments of every kind of fault: what is left, how long.

    python benchmarks/kill_faults.py [--trials 50] [--kinds latency,pause] [--at-once 3] [--seed 1]

Each trial holds one fault on a light victim with the harness' own safety and injector, and kills at a random moment
between its first word and its last. Clean means: the victim shows nothing of the fault, no process carries the run's
mark, and nobody is left who would still act on it. Who cleans: the reaper (harness killed), the harness (reaper killed;
counted from the end of its hold), the lapse of the proxy's lease or `recover` (both killed).
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

LEASE_S = 1.0
BOUND_S = LEASE_S + 1.0
HOLD_S = 0.3
SPREAD_S = 0.5  # of the moments at which is killed, after the first word
GIVE_UP_S = 12.0
START_LIMIT_S = 60.0
_CONTEXT = multiprocessing.get_context("forkserver")


class Killed(Enum):
    """Who is killed."""

    HARNESS = "harness"
    REAPER = "reaper"
    BOTH = "both"


@dataclass(frozen=True)
class Trial:
    """What one kill led to."""

    clean_after_s: float
    left: list[str]
    was_in_place: bool = False


def hold(
    run: str,
    fault: dict[str, Any],
    where: dict[str, Any],
    state: str,
    say: Connection,
    lease_s: float = LEASE_S,
    hold_s: float = HOLD_S,
) -> None:
    """Be the harness, in a process of its own."""
    import asyncio

    from tests.faults.holder import hold as hold_fault

    os.setsid()
    os.environ["XDG_STATE_HOME"] = state
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    asyncio.run(hold_fault(Path(run), fault, where, lease_s, hold_s, say.send))


def recover_now(state: str) -> None:
    """Be `harness recover`, in a process of its own."""
    from harness.faults.safety.recover import recover

    os.environ["XDG_STATE_HOME"] = state
    sys.exit(not recover().clean)


def try_it(rig: Any, slot: int, killed: Killed, chance: random.Random) -> Trial:
    """Hold a fault, kill somebody, and look until it is gone."""
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        run, state = Path(folder) / f"run-{os.getpid()}-{chance.randrange(10**9)}", str(Path(folder) / "state")
        run.mkdir()
        listen, say = _CONTEXT.Pipe(duplex=False)
        holder = _CONTEXT.Process(target=hold, args=(str(run), dict(rig.fault), rig.where(slot), state, say))
        holder.start()
        say.close()
        said: list[str] = []
        hear(listen, "safe", said)
        reaper = reaper_of(Path(state))
        time.sleep(chance.uniform(0, SPREAD_S))
        for pid in {Killed.HARNESS: [holder.pid], Killed.REAPER: [reaper], Killed.BOTH: [reaper, holder.pid]}[killed]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid or 0, signal.SIGKILL)
        began_s = time.monotonic()
        if killed is Killed.REAPER:
            hear(listen, "undoing", said)
            began_s = time.monotonic()
        else:
            holder.join(GIVE_UP_S)
        if killed is Killed.BOTH and not rig.lapses:
            in_a_process(recover_now, state)
        trial = until_clean(rig, slot, run, began_s, lambda: still_acts(killed, holder, run, Path(state)))
        holder.kill()
        holder.join(GIVE_UP_S)
        in_a_process(recover_now, state)
        hear(listen, "", said)
        if "undoing" in said and "applied" not in said:
            sys.exit(f"{rig.name}: the fault could not be applied, so that nothing was tried")
        return replace(trial, was_in_place="applied" in said)


def in_a_process(act: Any, state: str) -> int | None:
    """Do it in another process, and wait; return its exit code."""
    process = _CONTEXT.Process(target=act, args=(state,))
    process.start()
    process.join(START_LIMIT_S)
    return process.exitcode


def until_clean(rig: Any, slot: int, run: Path, began_s: float, acts: Any) -> Trial:
    """Look until nothing is left and nobody acts any more."""
    while True:
        left = what_is_left(rig, slot, run)
        busy = acts()
        took_s = time.monotonic() - began_s
        if not left and not busy:
            left = what_is_left(rig, slot, run)  # it may have been placed while we looked
            if not left:
                return Trial(took_s, [])
        if took_s > GIVE_UP_S:
            return Trial(took_s, [*left, *busy])
        time.sleep(0.03)


def what_is_left(rig: Any, slot: int, run: Path) -> list[str]:
    """Return what the victim shows of the fault, and living processes of the run."""
    from harness.faults.safety.marked import marked_processes

    return [*rig.left(slot, run), *(f"process {marked.process.pid}" for marked in marked_processes(run.name))]


def still_acts(killed: Killed, holder: Any, run: Path, state: Path) -> list[str]:
    """Return who will still do something about it."""
    if killed is Killed.BOTH:
        return []
    if killed is Killed.REAPER:
        return ["the harness"] if holder.is_alive() else []
    from benchmarks.fault_rigs import unsettled

    return [f"the journal holds {what}" for what in unsettled(run)] if any(state.glob("*/*.json")) else []


def reaper_of(state: Path) -> int:
    """Return the pid of the reaper, from the run's registration."""
    (record,) = state.glob("*/*.json")
    return int(json.loads(record.read_text())["reaper"].partition(":")[0])


def hear(listen: Connection, word: str, said: list[str]) -> None:
    """Wait until the holder says *word*, or is gone; keep all that it says."""
    give_up_s = time.monotonic() + START_LIMIT_S
    with contextlib.suppress(EOFError):
        while time.monotonic() < give_up_s:
            if listen.poll(0.1):
                said.append(listen.recv())
                if said[-1] in (word, "done"):
                    return
        sys.exit(f"the holder did not say {word!r} within {START_LIMIT_S:g}s")


def trials_of(rig: Any, options: argparse.Namespace) -> Iterator[tuple[Killed, list[Trial]]]:
    """Yield all trials of a kind by who is killed; several at a time, each in a slot of its own."""
    at_once = 1 if rig.one_at_a_time else options.at_once
    free: Queue[int] = Queue()
    for slot in range(at_once):
        rig.where(slot)  # starts what the slot needs, one after another
        free.put(slot)

    def trial(job: tuple[Killed, int]) -> Trial:
        slot = free.get()
        try:
            return try_it(rig, slot, job[0], random.Random(f"{options.seed}/{rig.name}/{job}"))
        finally:
            free.put(slot)

    with ThreadPoolExecutor(at_once) as threads:
        for killed in Killed:
            yield killed, list(threads.map(trial, zip(cycle([killed]), range(options.trials))))


_TITLES = "fault                killed   trials in place  left   median      p99      max  bound  ratio"


def line(kind: str, killed: Killed, trials: Sequence[Trial]) -> str:
    """Return one line of the table."""
    times = sorted(trial.clean_after_s for trial in trials)
    left = [trial for trial in trials if trial.left or trial.clean_after_s > BOUND_S]
    p99 = times[max(0, -(-len(times) * 99 // 100) - 1)]
    in_place = sum(trial.was_in_place for trial in trials)
    told = f"  LEFT: {left[0].left or 'late'}" if left else ""
    return (
        f"{kind:<20} {killed.value:<8} {len(trials):>6} {in_place:>8} {len(left):>5} {statistics.median(times):>8.2f}"
        f" {p99:>8.2f} {times[-1]:>8.2f} {BOUND_S:>6.1f} {times[-1] / BOUND_S:>6.2f}{told}"
    )


def main() -> int:
    """Try all, print the table; 1 where anything was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from benchmarks.fault_rigs import World, foreign_rigs, rigs_of

    _CONTEXT.set_forkserver_preload(["tests.faults.holder", "harness.faults.safety.recover"])
    world, left = World(), 0
    try:
        rigs, absent = rigs_of(world, options.at_once)
        rigs |= foreign_rigs(world)
        names = [name for name in options.kinds.split(",") if name] or list(rigs)
        print(_TITLES)
        for name in names:
            if name not in rigs:
                sys.exit(f"{name}: {absent.get(name, 'no such fault')}; there are {', '.join(rigs)}")
            for killed, trials in trials_of(rigs[name], options):
                print(line(name, killed, trials), flush=True)
                left += sum(bool(trial.left) or trial.clean_after_s > BOUND_S for trial in trials)
    finally:
        world.close()
    for name, why in absent.items():
        print(f"{name:<20} not tried: {why}")
    print(f"left over: {left}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
