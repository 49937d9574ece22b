"""Why and how a load ends before its last arrival."""

import os
import sys
from dataclasses import dataclass, field

import gevent.socket
from gevent.event import Event as Flag

_SHORT_DRAIN_S = 1.0
COMPLETED = 0
CRASHED = 1
NO_TOKENS = 3
PARENT_GONE = 4


@dataclass(slots=True)
class Halt:
    """Set once the load has to end early; `grace_s` is what requests under way may still take."""

    asked: Flag = field(default_factory=Flag)
    grace_s: float = 0.0
    code: int = COMPLETED  # with which the process will end

    def terminate(self) -> None:
        """SIGTERM: no further arrivals, a short drain, and all is well."""
        self._ask(COMPLETED, _SHORT_DRAIN_S)

    def orphan(self) -> None:
        """The parent is gone: write what is there and end at once."""
        self._ask(PARENT_GONE, 0.0)

    def crash(self, _greenlet: object = None) -> None:
        """Something broke that no row can stand for; its traceback is on stderr."""
        self._ask(CRASHED, 0.0)

    def watch_parent(self) -> None:
        """Wait for the end of standard input: a pipe that the parent holds open and never writes to."""
        while True:
            gevent.socket.wait_read(sys.stdin.fileno())
            if not os.read(sys.stdin.fileno(), 4096):
                self.orphan()
                return

    def _ask(self, code: int, grace_s: float) -> None:
        self.code = max(self.code, code)
        self.grace_s = grace_s
        self.asked.set()
