"""Every kind of fault in the catalogue, applied for real, is gone after a SIGKILL of whoever held it.

The kinds come from their declarations: one that is added without a rig fails here.
"""

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.fault_rigs import World, rigs_of
from benchmarks.kill_faults import hear, hold, in_a_process, reaper_of, recover_now, what_is_left
from harness.faults.kinds.catalogue import why_kind_missing
from harness.model.files.fault_kinds.declared import BUILT_IN
from tests.faults.support import wait_until

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.holder", "harness.faults.safety.recover"])
_SLOTS = 2
_UNDOABLE = [kind for kind in BUILT_IN if kind.acts]


@pytest.fixture(scope="module")
def rigs():
    world = World()
    yield rigs_of(world, _SLOTS)[0]
    world.close()


@pytest.mark.parametrize("kind", _UNDOABLE, ids=lambda kind: kind.name)
def test_a_fault_is_rolled_back_by_the_reaper_and_without_one_by_recover(kind, rigs, tmp_path):
    if why := why_kind_missing(kind):
        pytest.skip(f"{kind.name} is not available on this machine: {why}")
    assert kind.name in rigs, f"{kind.name} has no rig: add one to benchmarks/fault_rigs.py"
    rig = rigs[kind.name]
    for slot in range(_SLOTS):
        rig.where(slot)  # starts what it needs
    with ThreadPoolExecutor(_SLOTS) as threads:
        trials = [threads.submit(act, rig, slot, tmp_path) for slot, act in enumerate((by_the_reaper, by_recover))]
        assert [trial.result() for trial in trials] == [[], []]


def by_the_reaper(rig, slot, folder):
    """Kill the harness; return what is left once the run is no longer registered."""
    with held(rig, slot, folder / "reaper") as (holder, run, state):
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: not list(state.glob("*/*.json")), "the reaper is done")
        return what_is_left(rig, slot, run)


def by_recover(rig, slot, folder):
    """Kill the reaper, then the harness, and recover; return what is left."""
    with held(rig, slot, folder / "recover") as (holder, run, state):
        os.kill(holder.pid, signal.SIGSTOP)  # it would start another reaper
        for pid in (reaper_of(state), holder.pid):
            os.kill(pid, signal.SIGKILL)
        holder.join()
        said = [] if in_a_process(recover_now, str(state)) == 0 else ["recover could not undo everything"]
        return [*said, *what_is_left(rig, slot, run)]


@contextlib.contextmanager
def held(rig, slot, folder):
    """Hold the fault in a process of its own; yield it with its run and its registry, once the fault is in place."""
    state, run = folder / "state", folder / f"run-{os.getpid()}-{rig.name}-{folder.name}"
    run.mkdir(parents=True)
    where = {**rig.where(slot), "is_embedded": False}  # no lease of the proxy undoes it before we look
    listen, say = _CONTEXT.Pipe(duplex=False)
    holder = _CONTEXT.Process(target=hold, args=(str(run), dict(rig.fault), where, str(state), say, 600.0, 600.0))
    holder.start()
    say.close()
    try:
        hear(listen, "applied", said := [])
        assert said[-1] == "applied", f"{rig.name} could not be applied"
        if rig.shows:
            wait_until(lambda: rig.left(slot, Path(run)), f"{rig.name} is in place")
        yield holder, run, state
    finally:
        holder.kill()
        holder.join()
