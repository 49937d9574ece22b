"""The processes of a service: its leader, or what its supervisor started, and what these started in turn."""

import contextlib
from pathlib import Path

import psutil

from harness.units.processes import Processes


def unit_below(leader: int, *, supervised: bool) -> Processes | None:
    """Return the unit of the service that *leader* leads or, if *supervised*, keeps alive; None where nothing runs."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(leader)
        below = [child for child in process.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
        unit = Processes.of(below if supervised else [process, *below])
        return unit if unit.size else None
    return None


def children_of(pid: int) -> frozenset[int]:
    """Return the direct children of a process; none of one that is gone."""
    try:
        return frozenset(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))
    except FileNotFoundError:  # a process that is gone, or a kernel without this file
        with contextlib.suppress(psutil.Error):
            return frozenset(child.pid for child in psutil.Process(pid).children())
    except OSError:
        pass
    return frozenset()


def program_of(pid: int) -> tuple[str, ...]:
    """Return the command line of a process; () of one that is gone."""
    with contextlib.suppress(psutil.Error):
        return tuple(psutil.Process(pid).cmdline())
    return ()
