"""The load process as the runner sees it: started, listened to, stopped."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.load.channel import Progress, read_message
from harness.load.job import LoadJob
from harness.model.run.events import Event

_STOP_PATIENCE_S = 3.0  # a short drain of one second, and the last rows
_LONGEST_LINE = 16 * 1024 * 1024
LOG = Path("logs-raw") / "load.log"
"""Where in the run's folder the process' stderr goes."""


class LoadProcess:
    """A running load. It ends by itself after the last arrival, with exit code 0."""

    def __init__(
        self,
        process: Process,
        *,
        job: Path,
        emit: Callable[[Event], None],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._process = process
        self._job = job
        self._emit = emit
        self._on_progress = on_progress
        self._ended = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        job: LoadJob,
        *,
        emit: Callable[[Event], None],
        on_progress: Callable[[Progress], None],
        env: Mapping[str, str],
        register: Callable[[int], None],
    ) -> "LoadProcess":
        """Start the process in a session of its own (the kernel then gives it its own share of the CPU).

        *register* hears its pid as soon as there is one; *on_progress* gets a message a second (see `Tally`).
        """
        run = Path(job.run)
        path = run / "load.json"
        job.write(path)
        try:
            process = await _spawn(path, run / LOG, env)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        register(process.pid)
        _let_it_come_first(process.pid)
        return cls(process, job=path, emit=emit, on_progress=on_progress)

    @property
    def pid(self) -> int:
        """Return the process id, which is also the id of its group."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until the process has ended and everything that it said was passed on; return its exit code."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """End the load early: a short drain, all rows written; by force if that takes too long. Safe to repeat."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), _STOP_PATIENCE_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.wait()
        self._job.unlink(missing_ok=True)  # the process deletes it when it has read it; it may not have come to that

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def _listen(self) -> int:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = read_message(line)
            if isinstance(message, Event):
                self._emit(message)
            elif message is not None:
                self._on_progress(message)
        return await self._process.wait()


async def _spawn(job: Path, log_path: Path, env: Mapping[str, str]) -> Process:
    log_path.parent.mkdir(exist_ok=True)
    with log_path.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "harness.load",
            str(job),
            stdin=PIPE,  # held open and never written to: its end tells the process that we are gone
            stdout=PIPE,
            stderr=log,
            env=dict(env),
            start_new_session=True,
            limit=_LONGEST_LINE,
        )


def _let_it_come_first(pid: int) -> None:
    """Ask the kernel to run it before other sessions, where it can and we may: its lag would be taken for latency."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-10", encoding="ascii")
