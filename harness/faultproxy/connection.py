"""One client's connection through a proxy: its two sockets and the pipe for each direction."""

import contextlib
import socket
import struct
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from harness.faultproxy.chance import Chance
from harness.faultproxy.dial import Dial
from harness.faultproxy.direction import Direction
from harness.faultproxy.pipe import Pipe, Scratch
from harness.faultproxy.readiness import Readiness
from harness.faultproxy.stage import Ending, Stage, Surroundings
from harness.faultproxy.toxic import Toxic

if TYPE_CHECKING:
    from harness.faultproxy.http.relay import Relay

_LINGER_ZERO = struct.pack("ii", 1, 0)  # makes close() send RST
_MOST_DRAINED_READS = 64


class Owner(Protocol):
    """The proxy as its connections see it."""

    def toxics_of(self, direction: Direction) -> list[Toxic]:
        """Return the toxics of one direction, in order."""

    def surroundings(self, toxic: Toxic, chance: Chance, pipe: Pipe) -> Surroundings:
        """Return what a stage of *toxic* needs."""

    def chance(self, toxic: Toxic, connection_number: int) -> Chance:
        """Return the seeded chance of *toxic* on one connection."""

    def relay(self, up: Pipe, down: Pipe, abort: Callable[[], None]) -> "Relay | None":
        """Put a relay into both pipes, where the link's requests can be seen."""

    def relay_over(self, relay: "Relay") -> None:
        """The relay's connection is over."""

    def connection_refused(self) -> None:
        """The upstream could not be reached."""

    def connection_closed(self, connection: "Connection") -> None:
        """The connection is over; both sockets are closed."""


class _State(Enum):
    DIALLING = auto()
    OPEN = auto()
    CLOSED = auto()


class Connection:
    """Dials the upstream, then carries bytes both ways until both directions ended."""

    __slots__ = (
        "_broken",
        "_client",
        "_dial",
        "_owner",
        "_readiness",
        "_relay",
        "_scratch",
        "_state",
        "_upstream",
        "number",
        "pipes",
    )

    def __init__(
        self, readiness: Readiness, owner: Owner, client: socket.socket, *, number: int, scratch: Scratch
    ) -> None:
        self._readiness, self._owner, self._client, self._scratch = readiness, owner, client, scratch
        self._upstream: socket.socket | None = None
        self._dial: Dial | None = None
        self._state = _State.DIALLING
        self._broken = False
        self._relay: Relay | None = None
        self.number = number
        self.pipes: dict[Direction, Pipe] = {}

    def dial(self, dial: Dial) -> None:
        """Start to reach the upstream; a failure closes the client."""
        self._dial = dial
        dial.start(self._connected, self._not_connected)

    def _connected(self, upstream: socket.socket) -> None:
        self._dial, self._upstream, self._state = None, upstream, _State.OPEN
        client, scratch = self._client, self._scratch
        up = Pipe(self._readiness, self, source=client, destination=upstream, scratch=scratch)
        down = Pipe(self._readiness, self, source=upstream, destination=client, scratch=scratch)
        self.pipes = {Direction.UPSTREAM: up, Direction.DOWNSTREAM: down}
        self._relay = self._owner.relay(up, down, self.abort)
        for direction in Direction:
            self.arrange(direction)
        for pipe in (up, down):
            pipe.start()

    def _not_connected(self) -> None:
        self._dial = None
        self._owner.connection_refused()
        self.close()

    def arrange(self, direction: Direction) -> None:
        """Let this connection feel the toxics that the proxy has now."""
        pipe = self.pipes.get(direction)
        toxics = self._owner.toxics_of(direction)
        if pipe is None or not (toxics or pipe.stages):
            return
        chances = {toxic.name: self._owner.chance(toxic, self.number) for toxic in toxics}

        def make(toxic: Toxic) -> Stage[Any]:
            return toxic.attributes.stage(self._owner.surroundings(toxic, chances[toxic.name], pipe))

        pipe.arrange([toxic for toxic in toxics if chances[toxic.name].hits(toxic.toxicity)], make)

    def pipe_ended(self, pipe: Pipe, ending: Ending) -> None:
        """See `Ends.pipe_ended`."""
        if ending is Ending.RESET or (self._all_ended() and self._broken):
            self.abort()
        elif self._all_ended():
            self.close()
        else:
            self._half_close(pipe)
            if ending is Ending.CUT:
                self._other(pipe).source_ended(Ending.CUT)

    def destination_broke(self) -> None:
        """See `Ends.destination_broke`: what that peer sent before still gets through, then comes the reset."""
        self._broken = True
        if self._all_ended():
            self.abort()

    def _all_ended(self) -> bool:
        return all(pipe.ended for pipe in self.pipes.values())

    def _other(self, pipe: Pipe) -> Pipe:
        return next(other for other in self.pipes.values() if other is not pipe)

    def _half_close(self, pipe: Pipe) -> None:
        destination = self._upstream if pipe is self.pipes[Direction.UPSTREAM] else self._client
        with contextlib.suppress(OSError):  # the peer may be gone already; its own direction will tell
            if destination is not None:
                destination.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Reset both sides."""
        if self._state is _State.CLOSED:
            return
        for side in self._sockets():
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._close_sockets()

    def close(self) -> None:
        """Close both sides at once, with FIN where possible."""
        if self._state is _State.CLOSED:
            return
        up, down = self.pipes.get(Direction.UPSTREAM), self.pipes.get(Direction.DOWNSTREAM)
        for side, pipe in ((self._client, up), (self._upstream, down)):
            if side is not None and (pipe is None or not pipe.source_is_at_end):
                _drain(side)
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._state = _State.CLOSED
        if self._dial is not None:
            self._dial.cancel()
        for side in self._sockets():
            self._readiness.forget(side.fileno())
        for pipe in self.pipes.values():
            pipe.stop()
        if self._relay is not None:
            self._owner.relay_over(self._relay)
        for side in self._sockets():
            side.close()
        self._owner.connection_closed(self)

    def _sockets(self) -> list[socket.socket]:
        return [side for side in (self._client, self._upstream) if side is not None]


def _drain(side: socket.socket) -> None:
    """Read away what nobody will: closing with unread bytes would send RST and cost the peer what it has not read."""
    with contextlib.suppress(OSError):
        for _ in range(_MOST_DRAINED_READS):
            if not side.recv(65536):
                return
