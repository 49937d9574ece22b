"""One direction of one connection: source socket -> stages -> outbox -> destination socket.

Without stages a chunk goes straight from one shared buffer to the destination: no copy, no allocation. Raw sockets
are used on purpose: they keep half-closes, which uvloop's transports do not survive.
"""

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from harness.faultproxy.readiness import Readiness
from harness.faultproxy.stage import Ending, Receiver, Stage
from harness.faultproxy.toxic import Toxic

CHUNK_BYTES = 32 * 1024  # Toxiproxy's read size: toxics that work per chunk see the same chunks


class Ends(Protocol):
    """The connection as its pipes see it."""

    def pipe_ended(self, pipe: "Pipe", ending: Ending) -> None:
        """*pipe* delivered everything and then ended this way."""

    def destination_broke(self) -> None:
        """A pipe stopped because its destination takes no more bytes."""


class Pipe:
    """Moves bytes in order, exactly, and with bounded memory. Never waits."""

    __slots__ = (
        "_chokes", "_destination_fd", "_ending", "_ends", "_head", "_outbox", "_readiness", "_reading", "_receive_into",
        "_scratch", "_send", "_source_fd", "_source_open", "ended", "received_bytes", "sent_bytes", "stages",
    )  # fmt: skip

    def __init__(
        self,
        readiness: Readiness,
        ends: Ends,
        *,
        source: socket.socket,
        destination: socket.socket,
        scratch: memoryview,
    ) -> None:
        self._readiness, self._ends, self._scratch = readiness, ends, scratch
        self._receive_into, self._send = source.recv_into, destination.send
        self._source_fd, self._destination_fd = source.fileno(), destination.fileno()
        self._outbox: deque[bytes | memoryview] = deque()
        self._ending: Ending | None = None  # waits behind the outbox
        self._head: Receiver = self
        self._chokes = 0
        self._reading = False
        self._source_open = True
        self.ended = False
        self.stages: dict[str, Stage[Any]] = {}
        self.received_bytes = 0
        self.sent_bytes = 0

    # -- stages ----------------------------------------------------------------------------------------------------

    def arrange(self, toxics: Sequence[Toxic], make: Callable[[Toxic], Stage[Any]]) -> None:
        """Make the stages match *toxics*, in their order; what stages that left held is delivered at once."""
        if self.ended:
            return
        before = self.stages
        now = {toxic.name: before.get(toxic.name) or make(toxic) for toxic in toxics}
        self._link(now)
        for name, stage in before.items():
            if name not in now:
                stage.release()  # it still hands on to the stage that followed it
        self._reconfigure(toxics)

    def _reconfigure(self, toxics: Sequence[Toxic]) -> None:
        for toxic in toxics:
            stage = self.stages.get(toxic.name)  # gone when an earlier one ended the pipe
            if stage is not None and stage.attributes is not toxic.attributes:
                stage.reconfigure(toxic.attributes)

    def _link(self, stages: dict[str, Stage[Any]]) -> None:
        self.stages = stages
        receiver: Receiver = self
        for stage in reversed(stages.values()):
            stage.next = receiver
            receiver = stage
        self._head = receiver

    # -- source ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read the source."""
        self._update_reading()

    def choke(self) -> None:
        """See `Flow.choke`."""
        self._chokes += 1
        self._update_reading()

    def unchoke(self) -> None:
        """See `Flow.unchoke`."""
        self._chokes -= 1
        self._update_reading()

    def stop_source(self) -> None:
        """See `Flow.stop_source`."""
        self._source_open = False
        self._update_reading()

    def source_ended(self, ending: Ending) -> None:
        """The source has no more bytes: tell the stages, in order."""
        if self._source_open:
            self.stop_source()
            self._head.end(ending)

    def _update_reading(self) -> None:
        reading = self._source_open and not self._chokes and not self.ended
        if reading != self._reading:
            self._reading = reading
            self._readiness.on_readable(self._source_fd, self._on_readable if reading else None)

    def _on_readable(self) -> None:
        straight = self._head is self
        room = self._scratch if straight else self._scratch[:CHUNK_BYTES]
        try:
            size = self._receive_into(room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.source_ended(Ending.RESET)
            return
        if not size:
            self.source_ended(Ending.EOF)
            return
        self.received_bytes += size
        if straight:
            self._deliver(room[:size])
        else:
            self._head.feed(bytes(room[:size]))

    # -- destination -----------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a chunk from the last stage."""
        if self._ending is not None or self.ended:
            return
        if self._outbox:
            self._outbox.append(data)
        else:
            self._deliver(data)

    def end(self, ending: Ending) -> None:
        """Take the ending from the last stage; a reset overtakes what is not yet delivered, as on any TCP link."""
        if self._ending is None and not self.ended:
            self._ending = ending
            if not self._outbox or ending is Ending.RESET:
                self._finish(ending)

    def _deliver(self, data: bytes | memoryview) -> None:
        """Send what the destination takes now; the outbox is empty."""
        sent = self._try_send(data)
        if sent < len(data) and not self.ended:
            self._outbox.append(bytes(data[sent:]))
            self._readiness.on_writable(self._destination_fd, self._on_writable)
            self.choke()

    def _on_writable(self) -> None:
        outbox = self._outbox
        while outbox:
            data = outbox[0]
            sent = self._try_send(data)
            if self.ended:
                return
            if sent < len(data):
                outbox[0] = memoryview(data)[sent:]
                return
            outbox.popleft()
        self._readiness.on_writable(self._destination_fd, None)
        self.unchoke()
        if self._ending is not None:
            self._finish(self._ending)

    def _try_send(self, data: bytes | memoryview) -> int:
        try:
            sent = self._send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._break()
            return 0
        self.sent_bytes += sent
        return sent

    # -- end -------------------------------------------------------------------------------------------------------

    def _break(self) -> None:
        self.stop()
        self._ends.destination_broke()

    def _finish(self, ending: Ending) -> None:
        self.stop()
        self._ends.pipe_ended(self, ending)

    def stop(self) -> None:
        """Drop everything and let go of both sockets; nothing happens here any more."""
        if self.ended:
            return
        self.ended = True
        self._source_open = False
        self._update_reading()
        if self._outbox:
            self._outbox.clear()
            self._readiness.on_writable(self._destination_fd, None)
        for stage in self.stages.values():
            stage.discard()
        self.stages = {}
        self._head = self
