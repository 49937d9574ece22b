"""Starting, feeding and dismissing the reaper."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from harness.faults.safety.marked import OWNER_VARIABLE, RUN_VARIABLE, Identity
from harness.faults.safety.reaper import BEAT, DISMISS, READY

_READY_LIMIT_S = 10.0


class ReaperProcess:
    """At most one reaper at a time, on the other end of a pipe that no other process holds."""

    def __init__(self, journal: Path, lease_s: float) -> None:
        self._command = [sys.executable, "-m", "harness.faults.safety.reaper"]
        self._command += ["--journal", str(journal), "--lease-s", f"{lease_s:g}"]
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None

    def start(self) -> Identity:
        """Start it, wait until it watches, return who it is; OSError when it does not get there."""
        self._close()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._wait_until_ready()
        identity = Identity.of(self._process.pid)
        if identity is None:
            raise ChildProcessError(self._last_words())
        return identity

    @property
    def lives(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.poll() is None

    def beat(self) -> None:
        """Tell it that we live; a reaper that is gone is noticed by `lives`, a full pipe needs no further beat."""
        self._say(BEAT)

    def dismiss(self, limit_s: float) -> int | None:
        """Tell it that all is undone, and wait; return its exit code, None where there was none to dismiss."""
        if self._process is None:
            return None
        self._say(DISMISS)
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._close()

    def _say(self, word: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), word)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        if select.select([self._process.stdout], [], [], _READY_LIMIT_S)[0]:
            said = os.read(self._process.stdout.fileno(), len(READY))
        if said != READY:
            self._process.kill()
            self._process.wait()
            raise ChildProcessError(self._last_words())

    def _last_words(self) -> str:
        assert self._complaints is not None
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return f"the reaper does not start: {lines[-1] if lines else 'it says nothing'}"

    def _close(self) -> None:
        pipes = (self._process.stdin, self._process.stdout) if self._process else ()
        for pipe in (*pipes, self._complaints):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _environment() -> dict[str, str]:
    """It is no process of the run: it must not end itself when it ends those."""
    return {name: value for name, value in os.environ.items() if name not in (RUN_VARIABLE, OWNER_VARIABLE)}
