"""Keeps one service alive: `python -m target_stack.supervisor target_stack.services.orders`.

Starts the service as a child in a process group of its own, starts it again when it ends, later and later while it
keeps crashing, and kills it when it lives but answers no liveness probe. Readiness is none of its business: a service
whose dependency is away must not be restarted for that. Standard library only, and little of it: it shall be small.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

DRAIN_S = 3.5
"""How long a service may take to end after SIGTERM; what its requests may take is less."""
_PR_SET_PDEATHSIG = 1
_ABSENT_S = 20.0
"""Without self-healing somebody has to come and start the service."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next start: at once after a long life, twice as long after each short one."""

    first_s: float = 0.1
    longest_s: float = 5.0
    healthy_s: float = 10.0
    short_lives: int = 0

    LOOP = 4
    """So many short lives in a row are a crash loop."""

    def after(self, lived_s: float) -> "Backoff":
        """Return the backoff after a life of *lived_s*."""
        return replace(self, short_lives=0 if lived_s >= self.healthy_s else min(self.short_lives + 1, 64))

    @property
    def delay_s(self) -> float:
        """The pause before the next start."""
        return min(self.longest_s, self.first_s * 2.0 ** max(0, self.short_lives - 1))

    @property
    def is_loop(self) -> bool:
        """Whether it keeps crashing."""
        return self.short_lives >= self.LOOP


@dataclass(frozen=True, slots=True)
class Liveness:
    """Counts probes without an answer; counts nothing before the first one that was answered, or *grace_s*."""

    allowed: int = 3
    grace_s: float = 15.0
    has_lived: bool = False
    missed: int = 0

    def after(self, is_alive: bool, age_s: float) -> "Liveness":
        """Return the count after a probe of a child that is *age_s* old."""
        if is_alive:
            return replace(self, has_lived=True, missed=0)
        counts = self.has_lived or age_s >= self.grace_s
        return replace(self, missed=self.missed + 1) if counts else self

    @property
    def is_hung(self) -> bool:
        """Whether it has missed too many."""
        return self.missed >= self.allowed


class Child:
    """A started service."""

    def __init__(self, command: list[str], restarts: int) -> None:
        self.started_s = time.monotonic()
        self.pid = _spawn(command, {**os.environ, "SUPERVISOR_RESTARTS": str(restarts)})

    @property
    def age_s(self) -> float:
        """How long it has been there."""
        return time.monotonic() - self.started_s

    def reaped(self) -> int | None:
        """Return its exit code once it has ended, negative for a signal; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def send(self, number: int) -> None:
        """Signal its whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Supervisor:
    """Runs one service until SIGTERM or SIGINT."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._service = environment.get("OTEL_SERVICE_NAME", command[-1])
        self._probe = _probe_of(environment)
        self._every_s = float(environment.get("LIVENESS_EVERY_S", "1"))
        self._liveness = Liveness(allowed=int(environment.get("LIVENESS_ALLOWED", "3")))
        self._backoff = Backoff(longest_s=float(environment.get("RESTART_LONGEST_S", "5")))
        self._heals = not _is_off(environment)
        self._restarts = 0

    def run(self) -> int:
        """Return 0 after an orderly end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        while True:
            child = Child(self._command, self._restarts)
            code = self._watch(child)
            child.send(signal.SIGKILL)  # whatever it started goes with it
            if code is None:
                return 0
            self._backoff = self._backoff.after(child.age_s)
            pause_s = self._backoff.delay_s if self._heals else _ABSENT_S
            self._tell_of_restart(code, child.age_s, pause_s)
            if _asked_to_end(pause_s):
                return 0
            self._restarts += 1

    def _watch(self, child: Child) -> int | None:
        """Return the child's exit code, None when we are to end and the child has."""
        liveness = self._liveness
        while not _asked_to_end(self._every_s, wake_for_child=True):
            code = child.reaped()
            if code is not None:
                return code
            if self._heals:
                liveness = liveness.after(self._probe(), child.age_s)
            if liveness.is_hung:
                self._tell("ERROR", "the service lives but does not answer: it is killed", missed=liveness.missed)
                child.send(signal.SIGKILL)
                liveness = self._liveness
        self._end(child)
        return None

    def _end(self, child: Child) -> None:
        """Ask the child to finish what is under way; after the limit it is killed."""
        child.send(signal.SIGTERM)
        child.send(signal.SIGCONT)
        give_up_s = time.monotonic() + DRAIN_S
        while child.reaped() is None:
            left_s = give_up_s - time.monotonic()
            if left_s <= 0:
                self._tell("WARNING", "the service did not end in time: it is killed", drain_s=DRAIN_S)
                child.send(signal.SIGKILL)
                os.waitpid(child.pid, 0)
                return
            signal.sigtimedwait(_WATCHED, min(left_s, 0.1))

    def _tell_of_restart(self, code: int, lived_s: float, pause_s: float) -> None:
        severity = "ERROR" if self._backoff.is_loop else "WARNING"
        body = "crash loop: the service keeps ending" if self._backoff.is_loop else "the service ended: it is restarted"
        fields = {"exit_code": code, "lived_s": round(lived_s, 3), "delay_s": pause_s, "restarts": self._restarts + 1}
        self._tell(severity, body, **fields)

    def _tell(self, severity: str, body: str, **fields: object) -> None:
        line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", "severity": severity, "service": self._service}
        rest = {"body": body, "trace_id": "", "span_id": "", "tenant": "", "logger": "supervisor"}
        sys.stdout.write(json.dumps({**line, **rest, **fields}) + "\n")
        sys.stdout.flush()


_ENDING = (signal.SIGTERM, signal.SIGINT)
_WATCHED = (*_ENDING, signal.SIGCHLD)


def _asked_to_end(within_s: float, *, wake_for_child: bool = False) -> bool:
    """Wait for the request to end; return False when the time is over, or when something happened to the child."""
    heard = signal.sigtimedwait(_WATCHED if wake_for_child else _ENDING, within_s)
    return heard is not None and heard.si_signo in _ENDING


def _spawn(command: list[str], environment: Mapping[str, str]) -> int:
    """Start the child in a group of its own, to be killed by the kernel when this process is gone."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # both sides say so: whoever is first
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        os.execvpe(command[0], command, environment)
    finally:
        os._exit(127)


def _probe_of(environment: Mapping[str, str]) -> Callable[[], bool]:
    """Return what asks GET /health/live, over the management port where there is one."""
    host = environment.get("HOST", "127.0.0.1")
    port = int(environment.get("ADMIN_PORT") or environment["PORT"])
    timeout_s = float(environment.get("LIVENESS_TIMEOUT_S", "2"))

    def probe() -> bool:
        try:
            with socket.create_connection((host, port), timeout_s) as connection:
                connection.settimeout(timeout_s)
                connection.sendall(f"GET /health/live HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    return probe


def _is_off(environment: Mapping[str, str]) -> bool:
    """Tell whether self-healing is switched off for a proof; as in kit/protections.py, which would be heavy here."""
    names = environment.get("PROTECTIONS_OFF", "").split(",")
    return environment.get("PROOFS") == "on" and "self_healing" in (name.strip() for name in names)


def main() -> int:
    """Supervise the module that the command line names."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m target_stack.supervisor MODULE\n")
        return 2
    return Supervisor([sys.executable, "-m", sys.argv[1]], os.environ).run()


if __name__ == "__main__":
    sys.exit(main())
