"""The heartbeat: a thread, so that a busy event loop does not lapse the lease, while a stopped process does."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from harness.faults.proxy.proxy_calls import ProxyCallError, ProxyCalls, ProxyGoneError
from harness.faults.safety.marked import Identity
from harness.faults.safety.reaper_process import ReaperProcess

STUCK_S = 20.0
"""An event loop that does not turn for so long will not undo anything: we stop beating for it."""
_BEATS_PER_LEASE = 8


class Heartbeat:
    """Renews the lease at the reaper and at embedded proxies, and replaces a reaper that died."""

    def __init__(self, reaper: ReaperProcess, lease_s: float, *, lost: Callable[[Identity], None]) -> None:
        self._reaper = reaper
        self._lease_s = lease_s
        self._lost = lost
        self._proxies: tuple[str, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_turned_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop beating when *loop* is stuck for STUCK_S."""
        self._loop = loop
        self._loop_turned_s = time.monotonic()

    def renew_also(self, api: str) -> None:
        """Renew the lease of the embedded proxy at *api* from now on, its first time at once."""
        self._proxies = (*self._proxies, api)
        self._renew(api)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; returns when the thread is done."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._lease_s / _BEATS_PER_LEASE):
            if self._is_stuck():
                continue
            if self._reaper.lives:
                self._reaper.beat()
            else:
                self._replace_reaper()
            for api in self._proxies:
                self._renew(api)

    def _is_stuck(self) -> bool:
        if self._loop is None:
            return False
        with contextlib.suppress(RuntimeError):  # it is closed: the run is ending
            self._loop.call_soon_threadsafe(self._turned)
        return time.monotonic() - self._loop_turned_s > STUCK_S

    def _turned(self) -> None:
        self._loop_turned_s = time.monotonic()

    def _replace_reaper(self) -> None:
        with contextlib.suppress(OSError):  # tried again with the next beat
            self._lost(self._reaper.start())

    def _renew(self, api: str) -> None:
        with contextlib.suppress(ProxyCallError, ProxyGoneError):  # a proxy that is gone is noticed by the driver
            ProxyCalls(api, time.monotonic() + self._lease_s / _BEATS_PER_LEASE).renew_lease(self._lease_s)
