"""One process of the target: started in a session of its own, watched, its words kept in a file."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.drivers.guard import Emit, Guard, Token
from harness.model.errors import TargetError
from harness.model.run.clock import Clock
from harness.model.run.events import Event, Kind

_TAIL_BYTES = 16_384
_TAIL_LINES = 10
_CERTAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start, and how it likes to be stopped."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    stop_signal: int = signal.SIGTERM
    haste_s: float = 0.0  # how long even a stop in haste waits for it
    cwd: str | None = None
    user: int | None = None  # another user than ours, when we are root and the program must not be
    stdout: int | None = None  # a pipe for its first words instead of the log


@dataclass
class Running:
    """A started process."""

    launch: Launch
    process: asyncio.subprocess.Process
    token: Token
    is_starting: bool = True  # while it is, whoever starts it deals with its end
    is_expected_to_end: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """The process, which leads a group of the same number."""
        return self.process.pid

    @property
    def code(self) -> int | None:
        """Exit code once it has ended; a negative one is the signal that killed it."""
        return self.process.returncode

    def signal(self, number: int) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def tail(self) -> list[str]:
        """Return the last lines of its log."""
        return tail_of(self.launch.log)


class Nursery:
    """Starts processes so that none is lost: journalled, marked, and told of in events."""

    def __init__(self, *, guard: Guard, emit: Emit, clock: Clock) -> None:
        self._guard = guard
        self._emit = emit
        self._clock = clock
        self._watching: set[asyncio.Task[None]] = set()
        self.running: dict[str, Running] = {}
        self.crashed: list[Running] = []
        self.crash = asyncio.Event()

    async def start(self, launch: Launch) -> Running:
        """Start a process; TargetError when there is no such program."""
        try:
            process = await _spawn(launch)
        except OSError as problem:
            msg = f"{launch.name}: cannot start {launch.command[0]}: {problem.strerror or problem}"
            raise TargetError(msg, hint="is it installed, and does the command in target.yaml name it right?") from None
        token = self._guard.process(process.pid, launch.name, stop_signal=launch.stop_signal)
        running = self.running[launch.name] = Running(launch, process, token)
        self._tell(Kind.PROCESS_STARTED, running)
        watch = asyncio.create_task(self._watch(running))
        self._watching.add(watch)
        watch.add_done_callback(self._watching.discard)
        return running

    async def stop(self, running: Running, *, polite_s: float, urgent: asyncio.Event) -> None:
        """Ask a process to end, and make sure that its group does; *urgent* cuts the politeness short."""
        running.is_expected_to_end = True
        haste_s = running.launch.haste_s
        if running.code is None and (haste_s or not urgent.is_set()):
            running.signal(running.launch.stop_signal)
            await _first_of(running.ended, urgent, limit_s=polite_s)
            await _first_of(running.ended, limit_s=haste_s)
        running.signal(signal.SIGKILL)
        await _first_of(running.ended, limit_s=_CERTAIN_S)
        if running.ended.is_set():
            self._guard.done(running.token)
        if self.running.get(running.launch.name) is running:
            del self.running[running.launch.name]

    async def _watch(self, running: Running) -> None:
        await running.process.wait()
        self._tell(Kind.PROCESS_EXITED, running, code=running.code, expected=running.is_expected_to_end)
        running.ended.set()
        if not (running.is_expected_to_end or running.is_starting):
            self.crashed.append(running)
            self.crash.set()

    def _tell(self, kind: Kind, running: Running, **fields: int | bool | None) -> None:
        self._emit(Event(self._clock.now_ns(), kind, {"service": running.launch.name, "pid": running.pid, **fields}))


async def _spawn(launch: Launch) -> asyncio.subprocess.Process:
    as_user: dict[str, Any] = (
        {} if launch.user is None else {"user": launch.user, "group": launch.user, "extra_groups": []}
    )
    with launch.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *launch.command,
            env=dict(launch.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log if launch.stdout is None else launch.stdout,
            stderr=log,
            cwd=launch.cwd,
            start_new_session=True,
            **as_user,
        )


async def _first_of(*events: asyncio.Event, limit_s: float) -> None:
    """Return when one of the events is set, or the time is over."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def exit_words(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def tail_of(log: Path) -> list[str]:
    """Return the last ten lines of a log; none of a log that cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
