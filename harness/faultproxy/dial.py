"""Reach an upstream without ever waiting for it."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from harness.faultproxy.address import AddressError, Endpoint, look_up, numeric_endpoint
from harness.faultproxy.readiness import Readiness

_NON_BLOCKING = getattr(socket, "SOCK_NONBLOCK", 0)  # saves a system call where there is such a thing
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY)
_DONE = (0, errno.EISCONN)


class Dial:
    """One attempt, over all addresses of the upstream in turn. Calls back at most once, never after `cancel`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, readiness: Readiness, upstream: str) -> None:
        self._loop = loop
        self._readiness = readiness
        self._upstream = upstream
        self._endpoint: Endpoint
        self._todo: list[Endpoint] = []
        self._trying: socket.socket | None = None
        self._lookup: asyncio.Task[None] | None = None
        self._succeed: Callable[[socket.socket], None]
        self._fail: Callable[[], None]

    def start(self, succeed: Callable[[socket.socket], None], fail: Callable[[], None]) -> None:
        """Begin; ends with one call of *succeed* (a connected socket, now the callee's) or *fail*."""
        self._succeed, self._fail = succeed, fail
        try:
            numeric = numeric_endpoint(self._upstream)
        except AddressError:
            fail()
            return
        if numeric is None:
            self._lookup = self._loop.create_task(self._look_up())
        else:
            self._todo = [numeric]
            self._try_next()

    def cancel(self) -> None:
        """Give up quietly."""
        if self._lookup is not None:
            self._lookup.cancel()
        self._drop_trial()

    async def _look_up(self) -> None:
        with contextlib.suppress(OSError):
            self._todo = await look_up(self._upstream)
        self._lookup = None
        self._try_next()

    def _try_next(self) -> None:
        while self._todo:
            endpoint = self._endpoint = self._todo.pop(0)
            try:
                trial = socket.socket(endpoint.family, socket.SOCK_STREAM | _NON_BLOCKING)
            except OSError:
                break  # out of descriptors: the client is told at once
            self._trying = trial
            if not _NON_BLOCKING:
                trial.setblocking(False)
            trial.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = trial.connect_ex(endpoint.address)
            if code in _UNDER_WAY:
                code = trial.connect_ex(endpoint.address)  # on loopback it is up by now, which saves a turn of the loop
            if code in _DONE:
                self._connected()
                return
            if code in _UNDER_WAY:
                self._readiness.on_writable(trial.fileno(), self._on_outcome)
                return
            self._drop_trial()
        self._fail()

    def _on_outcome(self) -> None:
        trial = self._trying
        if trial is None:
            return
        if trial.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop_trial()
            self._try_next()
        elif trial.connect_ex(self._endpoint.address) in _DONE:  # else a false alarm
            self._readiness.on_writable(trial.fileno(), None)
            self._connected()

    def _connected(self) -> None:
        upstream, self._trying = self._trying, None
        if upstream is not None:
            self._succeed(upstream)

    def _drop_trial(self) -> None:
        if self._trying is not None:
            self._readiness.on_writable(self._trying.fileno(), None)
            self._trying.close()
            self._trying = None
