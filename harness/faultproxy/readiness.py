"""Which sockets can be read or written: one epoll for the data plane and for asyncio alike.

`ProxyLoop` is asyncio's own loop with a selector that serves the data plane itself: while only proxied sockets are
ready, their callbacks run straight out of `Readiness.select`, and asyncio is woken for nothing but its own descriptors,
timers and tasks. That is one system call per turn, and no handle, context or queue per callback.

Why not `loop.add_reader` for each socket: after an error on a socket (an RST while bytes are still unread) uvloop 0.23
calls back once and then closes its watcher for good, so the rest of the bytes and the reset never arrive.
"""

import asyncio
import contextvars
import select
import selectors
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_EVENTS_PER_TURN = 256

Callback = Callable[[], None]
_Arguments = TypeVarTuple("_Arguments")


class Readiness(selectors.BaseSelector):
    """Level-triggered callbacks. A callback may come once too often: treat `BlockingIOError` as a false alarm."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._events: dict[int, int] = {}
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._loop_has_work = False

    # -- the data plane ----------------------------------------------------------------------------------------------

    def on_readable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back whenever there are bytes, an end or an error to read; None stops that."""
        _set_or_drop(self._readers, descriptor, callback)
        self._update(descriptor)

    def on_writable(self, descriptor: int, callback: Callback | None) -> None:
        """Call back whenever bytes can be written or never again; None stops that."""
        _set_or_drop(self._writers, descriptor, callback)
        self._update(descriptor)

    def forget(self, descriptor: int) -> None:
        """Call back no more; the descriptor must be closed next, which takes it out of the epoll for less."""
        self._readers.pop(descriptor, None)
        self._writers.pop(descriptor, None)
        self._events.pop(descriptor, None)

    def _update(self, descriptor: int) -> None:
        """Without a wish the descriptor must go: epoll reports errors even to those who asked for nothing."""
        events = (descriptor in self._readers and select.EPOLLIN) | (descriptor in self._writers and select.EPOLLOUT)
        before = self._events.get(descriptor, 0)
        if events == before:
            return
        if not events:
            del self._events[descriptor]
            self._epoll.unregister(descriptor)
            return
        self._events[descriptor] = events
        if before:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)

    # -- asyncio's side ----------------------------------------------------------------------------------------------

    def loop_has_work(self) -> None:
        """A callback gave asyncio something to do: `select` returns after this turn."""
        self._loop_has_work = True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Serve the data plane until asyncio has something to do or *timeout* seconds are over."""
        self._loop_has_work = False
        give_up_s = None if timeout is None else time.monotonic() + timeout
        while True:
            ready = self._turn(timeout)
            if ready or self._loop_has_work:
                return ready
            if give_up_s is not None:
                timeout = give_up_s - time.monotonic()
                if timeout <= 0:
                    return ready

    def _turn(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            timeout = self._waited_exactly(timeout)
        readers, writers = self._readers, self._writers
        ready = []
        descriptor = -1
        try:
            for descriptor, events in self._poll(timeout, _EVENTS_PER_TURN):
                if events & _READABLE and (read := readers.get(descriptor)) is not None:
                    read()
                if events & _WRITABLE and (write := writers.get(descriptor)) is not None:
                    write()
                if descriptor in self._keys:
                    ready.append(self._ready(descriptor, events))
        except Exception:  # noqa: BLE001  one broken connection must not take the others along; epoll tells the rest again
            traceback.print_exc(file=sys.stderr)
            self.on_readable(descriptor, None)
            self.on_writable(descriptor, None)
        return ready

    def _waited_exactly(self, timeout: float) -> float:
        """Leave the last millisecond to select(2), which counts microseconds; epoll counts whole milliseconds."""
        whole_ms = int(timeout * 1000)
        if whole_ms:
            return (whole_ms - 0.5) / 1000  # epoll rounds up
        select.select((self._epoll,), (), (), timeout)
        return 0

    def _ready(self, descriptor: int, events: int) -> tuple[selectors.SelectorKey, int]:
        key = self._keys[descriptor]
        read = selectors.EVENT_READ if events & ~select.EPOLLOUT else 0
        write = selectors.EVENT_WRITE if events & ~select.EPOLLIN else 0
        return key, (read | write) & key.events

    def register(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """See `BaseSelector.register`."""
        descriptor = _descriptor(fileobj)
        key = selectors.SelectorKey(fileobj, descriptor, events, data)
        self._epoll.register(descriptor, _epoll_events(events))
        self._keys[descriptor] = key
        return key

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """See `BaseSelector.unregister`."""
        key = self._keys.pop(_descriptor(fileobj))
        with suppress(OSError):  # closed already, which took it out of the epoll
            self._epoll.unregister(key.fd)
        return key

    def modify(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """See `BaseSelector.modify`."""
        descriptor = _descriptor(fileobj)
        before = self._keys[descriptor]
        if events != before.events:
            self._epoll.modify(descriptor, _epoll_events(events))
        key = self._keys[descriptor] = before._replace(events=events, data=data)
        return key

    def get_map(self) -> "Mapping[FileDescriptorLike, selectors.SelectorKey]":
        """See `BaseSelector.get_map`; by descriptor."""
        return self._keys  # type: ignore[return-value]

    def get_key(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """See `BaseSelector.get_key`."""
        return self._keys[_descriptor(fileobj)]

    def close(self) -> None:
        """Watch nothing any more."""
        self._epoll.close()
        for wishes in (self._readers, self._writers, self._events, self._keys):
            wishes.clear()


class ProxyLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on a `Readiness`; whatever is scheduled from a data plane callback is noticed at once."""

    def __init__(self) -> None:
        self.readiness = Readiness()
        super().__init__(self.readiness)

    def call_soon(
        self, callback: Callable[[*_Arguments], object], *args: *_Arguments, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """See `AbstractEventLoop.call_soon`."""
        self.readiness.loop_has_work()
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """See `AbstractEventLoop.call_at`."""
        self.readiness.loop_has_work()
        return super().call_at(when, callback, *args, context=context)


def _set_or_drop(callbacks: dict[int, Callback], descriptor: int, callback: Callback | None) -> None:
    if callback is None:
        callbacks.pop(descriptor, None)
    else:
        callbacks[descriptor] = callback


def _descriptor(fileobj: "FileDescriptorLike") -> int:
    return fileobj if isinstance(fileobj, int) else fileobj.fileno()


def _epoll_events(events: int) -> int:
    reading = select.EPOLLIN if events & selectors.EVENT_READ else 0
    return reading | (select.EPOLLOUT if events & selectors.EVENT_WRITE else 0)
