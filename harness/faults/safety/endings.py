"""Ending processes for good: politely first, then not, and always the whole group with everything below it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence

import psutil

POLITE_S = 1.0
_CERTAIN_S = 1.0
_POLL_S = 0.02


def end_processes(roots: Sequence[tuple[psutil.Process, int]], *, polite_s: float = POLITE_S) -> list[psutil.Process]:
    """Send each root its own signal, wait up to *polite_s*, then kill what is left of roots, groups and descendants.

    Return what still lives a second after that. A stopped process is continued, so that it can hear.
    """
    everybody = _with_descendants(root for root, _ in roots)
    groups = [_group_of(root) for root, _ in roots]
    for group, (root, number) in zip(groups, roots, strict=True):
        _signal(group, root, number)
        _signal(group, root, signal.SIGCONT)
    _wait(everybody, polite_s)
    for group, (root, _) in zip(groups, roots, strict=True):
        _signal(group, root, signal.SIGKILL)  # the leader may be gone by now, and its group not
    for process in everybody:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil looks at the creation time first
    return _wait(everybody, _CERTAIN_S)


def _with_descendants(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Databases put their children into sessions of their own: a group does not reach them, the family tree does."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        found[root.pid] = root
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in root.children(recursive=True)}
    return list(found.values())


def _group_of(root: psutil.Process) -> int | None:
    """Return the group that *root* leads; None where it leads none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return root.pid if os.getpgid(root.pid) == root.pid else None
    return None


def _signal(group: int | None, root: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
        if group is not None:
            os.killpg(group, number)
        else:
            root.send_signal(number)


def _wait(processes: Sequence[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Wait until all are dead or zombies; return those that are not after *limit_s*."""
    give_up = time.monotonic() + limit_s
    while (left := [process for process in processes if _lives(process)]) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
