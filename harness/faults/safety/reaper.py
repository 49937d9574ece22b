"""The reaper: a process of its own that undoes everything when the harness dies, and the faults when it hangs.

    python -m harness.faults.safety.reaper --journal PATH --lease-s 5

On stdin the harness writes a line `beat` every now and then, and `dismiss` when all is undone. The end of the input
means that the harness is dead: the kernel closes the pipe, whatever killed it. It starts fast, imports little, and
takes no signal of a terminal.
"""

import argparse
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from harness.faults.safety.journal import outstanding
from harness.faults.safety.logbook import Logbook
from harness.faults.safety.undo import undo_all, undo_faults
from harness.model.errors import ExitCode

READY = b"ready\n"
BEAT = b"beat\n"
DISMISS = b"dismiss\n"
_TRIES = 20
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP)


class Heard(Enum):
    """What the harness let us know."""

    BEAT = "beat"
    NOTHING = "nothing"
    DISMISSED = "dismissed"
    DEAD = "dead"


class Line:
    """The pipe from the harness."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = b""

    def listen(self, limit_s: float) -> Heard:
        """Wait at most *limit_s* for a word from the harness."""
        if not select.select([self._descriptor], [], [], limit_s)[0]:
            return Heard.NOTHING
        chunk = os.read(self._descriptor, 4096)
        self._pending += chunk
        *lines, self._pending = self._pending.split(b"\n")
        if DISMISS.strip() in lines:
            return Heard.DISMISSED
        return Heard.BEAT if chunk else Heard.DEAD


def watch(line: Line, journal: Path, lease_s: float) -> ExitCode:
    """Stand by until the harness is done or dead; return whether everything could be undone."""
    while True:
        heard = line.listen(lease_s)
        if heard is Heard.NOTHING:
            heard = line.listen(0)  # perhaps it was we who slept
        if heard is Heard.NOTHING:
            _lapse(journal, lease_s)
        elif heard in (Heard.DISMISSED, Heard.DEAD):
            return _finish(journal, harness_died=heard is Heard.DEAD)


def _lapse(journal: Path, lease_s: float) -> None:
    """The harness lives but missed its heartbeats: its faults must not outlast their lease, its stack may."""
    done = undo_faults(outstanding(journal))
    if all(undone.entry.lifted and undone.confirmed for undone in done):
        return
    logbook = Logbook(journal, by="reaper")
    logbook.note(f"no heartbeat for {lease_s:g}s: the reaper rolls the faults back")
    logbook.write_lifted(done)


def _finish(journal: Path, *, harness_died: bool) -> ExitCode:
    left = outstanding(journal)
    logbook = Logbook(journal, by="reaper")
    if harness_died:
        logbook.note("the harness died: the reaper undoes what it left")
    confirmed = logbook.write(undo_all(left), for_the_dead=harness_died)
    return ExitCode.HELD if confirmed else ExitCode.NOT_ROLLED_BACK


def main(argv: Sequence[str]) -> int:
    """Watch as *argv* says; return 0 when everything was undone, 5 when something could not be."""
    parser = argparse.ArgumentParser(prog="python -m harness.faults.safety.reaper")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--lease-s", type=float, required=True)
    given = parser.parse_args(argv)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stdout.fileno(), READY)
    for _ in range(_TRIES):
        try:
            return watch(Line(sys.stdin.fileno()), given.journal, given.lease_s)
        except Exception:  # noqa: BLE001  whatever it is: undoing is worth another try, giving up leaves a fault
            traceback.print_exc()
            time.sleep(0.1)
    return ExitCode.NOT_ROLLED_BACK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
