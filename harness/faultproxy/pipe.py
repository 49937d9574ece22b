"""One direction of one connection: source socket -> stages -> outbox -> destination socket.

While no stage wants to see chunks they go straight from one shared buffer to the destination: no copy, no allocation.
A direction that carries much is spliced: its bytes never enter this process. Raw sockets are used on purpose: they keep
half-closes, which uvloop's transports do not survive.
"""

import math
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from harness.faultproxy.kernel_pipe import SPLICES, KernelPipe, KernelPipes
from harness.faultproxy.readiness import Readiness
from harness.faultproxy.stage import Ending, Receiver, Stage
from harness.faultproxy.toxic import Toxic

CHUNK_BYTES = 32 * 1024  # Toxiproxy's read size: toxics that work per chunk see the same chunks

_SCRATCH_BYTES = 512 * 1024
_MUCH_BYTES = 64 * 1024  # below that two copies are cheaper than a splice
_RICH = 4 if SPLICES else math.inf  # a score: rich reads raise it, poor ones lower it; from here on it pays to splice
_RICHEST = 8


class Scratch:
    """Room that all pipes of a process use, one after the other; it is empty between two callbacks."""

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(_SCRATCH_BYTES))
        self.kernel_pipes = KernelPipes()

    def close(self) -> None:
        """Let go of the descriptors."""
        self.kernel_pipes.close()


class Link(Receiver, Protocol):
    """What sees the bytes before all stages, or after them."""

    next: Receiver
    is_clear: Callable[[], bool]


class Ends(Protocol):
    """The connection as its pipes see it."""

    def pipe_ended(self, pipe: "Pipe", ending: Ending) -> None:
        """*pipe* delivered everything and then ended this way."""

    def destination_broke(self) -> None:
        """A pipe stopped because its destination takes no more bytes."""


class Pipe:
    """Moves bytes in order, exactly, and with bounded memory. Never waits."""

    __slots__ = (
        "_chokes", "_destination_fd", "_ending", "_ends", "_first", "_head", "_kernel_pipes", "_last", "_memory",
        "_outbox", "_readiness", "_reading", "_receive_into", "_richness", "_send", "_source_fd", "_source_open",
        "_straight", "ended", "received_bytes", "sent_bytes", "source_is_at_end", "stages",
    )  # fmt: skip

    def __init__(
        self, readiness: Readiness, ends: Ends, *, source: socket.socket, destination: socket.socket, scratch: Scratch
    ) -> None:
        self._readiness, self._ends = readiness, ends
        self._memory, self._kernel_pipes = scratch.memory, scratch.kernel_pipes
        self._receive_into, self._send = source.recv_into, destination.send
        self._source_fd, self._destination_fd = source.fileno(), destination.fileno()
        self._outbox: deque[bytes | memoryview | KernelPipe] = deque()  # what is in a kernel pipe came first
        self._ending: Ending | None = None  # waits behind the outbox
        self._first: Link | None = None
        self._last: Link | None = None
        self._head: Receiver = self
        self._straight = True  # no stage wants to see chunks
        self._richness = 0
        self._chokes = 0
        self._reading = False
        self._source_open = True
        self.source_is_at_end = False
        self.ended = False
        self.stages: dict[str, Stage[Any]] = {}
        self.received_bytes = 0
        self.sent_bytes = 0

    def lead_first_through(self, link: Link) -> None:
        """Let *link* see the bytes before all stages."""
        self._first = link
        self._link(self.stages)

    def lead_last_through(self, link: Link) -> None:
        """Let *link* see the bytes after all stages."""
        self._last = link
        self._link(self.stages)

    @property
    def is_behind(self) -> bool:
        """Whether the destination has not yet taken all that was sent to it."""
        return bool(self._outbox)

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
        for part in (self._last, *reversed(stages.values()), self._first):
            if part is not None:
                part.next = receiver
                receiver = part
        self._head = receiver
        self._straight = receiver is self

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
        if not self._straight:
            self._read_for_stages()
        elif self._richness >= _RICH:
            self._splice()
        else:
            self._copy()

    def _copy(self) -> None:
        memory = self._memory
        size = self._receive(memory)
        if size:
            sent = self._try_send(data := memory[:size])
            if sent < size and not self.ended:
                self._put_in_outbox(bytes(data[sent:]))

    def _read_for_stages(self) -> None:
        """Chunks bypass stages that would only pass them on, once all are like that."""
        if self._all_are_clear():
            self._straight = True
            self._on_readable()
        elif size := self._receive(self._memory[:CHUNK_BYTES]):
            try:
                self._head.feed(bytes(self._memory[:size]))
            except Exception:
                self._finish(Ending.RESET)  # both peers shall know, rather than wait for ever
                raise

    def _all_are_clear(self) -> bool:
        if (self._first is not None and not self._first.is_clear()) or (
            self._last is not None and not self._last.is_clear()
        ):
            return False
        return all(stage.is_clear() for stage in self.stages.values())

    def _receive(self, room: memoryview) -> int:
        """Return how many bytes were read into *room*; 0 when there are none now, or never again."""
        try:
            size = self._receive_into(room)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.source_ended(Ending.RESET)
            return 0
        if size:
            self._count(size)
        else:
            self.source_is_at_end = True
            self.source_ended(Ending.EOF)
        return size

    def _splice(self) -> None:
        try:
            pipe = self._kernel_pipes.take()
        except OSError:  # out of descriptors
            self._richness = 0
            return
        if self._fill(pipe):
            self._try_pour(pipe)
            if pipe.held_bytes and not self.ended:
                self._put_in_outbox(pipe)
                return
        self._kernel_pipes.give_back(pipe)

    def _fill(self, pipe: KernelPipe) -> int:
        try:
            size = pipe.fill(self._source_fd)
        except BlockingIOError:
            return 0
        except OSError:
            size = 0
        if size:
            self._count(size)
        else:
            self._richness = 0  # an end or an error: the next plain read learns which
        return size

    def _count(self, size: int) -> None:
        self.received_bytes += size
        if size >= _MUCH_BYTES:
            self._richness = min(self._richness + 2, _RICHEST)
        elif self._richness:
            self._richness -= 1

    # -- destination -----------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a chunk from the last stage."""
        if self._ending is not None or self.ended:
            return
        if self._outbox:
            self._outbox.append(data)
            return
        sent = self._try_send(data)
        if sent < len(data) and not self.ended:
            self._put_in_outbox(data[sent:])

    def end(self, ending: Ending) -> None:
        """Take the ending from the last stage; a reset overtakes what is not yet delivered, as on any TCP link."""
        if self._ending is None and not self.ended:
            self._ending = ending
            if not self._outbox or ending is Ending.RESET:
                self._finish(ending)

    def _put_in_outbox(self, rest: bytes | KernelPipe) -> None:
        """The destination is full and the outbox is empty: read no more until that has gone."""
        self._outbox.append(rest)
        self._readiness.on_writable(self._destination_fd, self._on_writable)
        self.choke()

    def _on_writable(self) -> None:
        outbox = self._outbox
        while outbox:
            data = outbox[0]
            if isinstance(data, KernelPipe):
                self._try_pour(data)
                if data.held_bytes or self.ended:
                    return
                self._kernel_pipes.give_back(data)
            else:
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

    def _try_pour(self, pipe: KernelPipe) -> None:
        try:
            self.sent_bytes += pipe.pour(self._destination_fd)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._break()

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
            self._empty_outbox()
        for stage in self.stages.values():
            stage.discard()
        self.stages = {}
        self._head = self

    def _empty_outbox(self) -> None:
        self._readiness.on_writable(self._destination_fd, None)
        for data in self._outbox:
            if isinstance(data, KernelPipe):
                self._kernel_pipes.give_back(data)
        self._outbox.clear()
