"""Which sockets can be read or written: one epoll for all of them, hung into the event loop as a single descriptor.

Why not `loop.add_reader` for each socket: after an error on a socket (an RST while bytes are still unread) uvloop 0.23
calls back once and then closes its watcher for good, so the rest of the bytes and the reset never arrive. One epoll of
our own tells all, costs fewer system calls per change, and serves many sockets per turn of the loop.
"""

import asyncio
import select
import sys
import traceback
from collections.abc import Callable

_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_EVENTS_PER_TURN = 256

Callback = Callable[[], None]


class _Watch:
    __slots__ = ("events", "read", "write")

    def __init__(self) -> None:
        self.events = 0
        self.read: Callback | None = None
        self.write: Callback | None = None


class Readiness:
    """Level-triggered callbacks. A callback may come once too often: treat `BlockingIOError` as a false alarm."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._watches: dict[int, _Watch] = {}
        loop.add_reader(self._epoll.fileno(), self._dispatch)

    def on_readable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back whenever there are bytes, an end or an error to read; None stops that."""
        watch = self._watches.get(descriptor) or _Watch()
        watch.read = callback
        self._update(descriptor, watch)

    def on_writable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back whenever bytes can be written or never again; None stops that."""
        watch = self._watches.get(descriptor) or _Watch()
        watch.write = callback
        self._update(descriptor, watch)

    def close(self) -> None:
        """Watch nothing any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._watches.clear()

    def _update(self, descriptor: int, watch: _Watch) -> None:
        """Without a wish the descriptor must go: epoll reports errors even to those who asked for nothing."""
        events = (select.EPOLLIN if watch.read else 0) | (select.EPOLLOUT if watch.write else 0)
        if events == watch.events:
            return
        if not events:
            self._epoll.unregister(descriptor)
            del self._watches[descriptor]
        elif watch.events:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
            self._watches[descriptor] = watch
        watch.events = events

    def _dispatch(self) -> None:
        watches = self._watches
        for descriptor, events in self._epoll.poll(0, _EVENTS_PER_TURN):
            watch = watches.get(descriptor)
            if watch is None:
                continue
            try:
                if events & _READABLE and watch.read is not None:
                    watch.read()
                if events & _WRITABLE and watch.write is not None:
                    watch.write()
            except Exception:  # noqa: BLE001  one broken connection must not take the others along
                traceback.print_exc(file=sys.stderr)
                self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._watches:
            self.on_readable(descriptor, None)
        if descriptor in self._watches:
            self.on_writable(descriptor, None)
