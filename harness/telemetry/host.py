"""How busy the machine was, and who took it: whether a measurement can be trusted."""

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from harness.model.run.clock import Clock
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from harness.telemetry.beat import Beat

_INTERVAL_S = 1.0
_FLUSH_EVERY = 5  # rounds
_FAMILY_EVERY = 5  # rounds: who descends from whom is asked less often than what they use

Row = tuple[int, str, str, str, float]


class HostSampler:
    """Samples once a second: shares of the machine of service "host", memory and CPU seconds of each service.

    `host_cpu_busy_ratio` is the share of all cores that was not idle, `host_cpu_foreign_ratio` the share that went to
    processes which are neither the target's nor the harness'; the latter only where the target's processes are known.
    A service is its process and all that descend from it, as PostgreSQL's workers do.
    """

    def __init__(self, run: Path, clock: Clock, pids: Callable[[], Mapping[str, int]]) -> None:
        self._clock = clock
        self._pids = pids
        self._rows = RowSink(run, Table.METRICS, source="host")
        self._machine = MachineTime()
        self._families = Families()
        self._own = OwnTime()
        self._round = 0
        self._beat = Beat(self._beat_once, _INTERVAL_S)

    async def start(self) -> None:
        """Begin sampling."""
        self._beat.start()

    async def stop(self) -> None:
        """End, and write what is there. Safe to repeat, and without a start."""
        await self._beat.stop()
        await asyncio.to_thread(self._rows.write, self._rows.take())

    async def _beat_once(self) -> None:
        await asyncio.to_thread(self._sample, dict(self._pids()))

    def _sample(self, pids: Mapping[str, int]) -> None:
        at_ns = self._clock.now_ns()
        busy, passed_s = self._machine.busy_share(), self._machine.passed_s
        self._rows.add((at_ns, "host", "host_cpu_busy_ratio", "{}", busy))
        own_s = self._own.used_s(pids.values())
        if pids and passed_s > 0 and own_s is not None:
            foreign = max(0.0, busy - own_s / passed_s)
            self._rows.add((at_ns, "host", "host_cpu_foreign_ratio", "{}", foreign))
        if self._round % _FAMILY_EVERY == 0:
            self._families.refresh(pids)
        for service, (rss_bytes, cpu_s) in self._families.usage(pids).items():
            self._rows.add((at_ns, service, "process_resident_memory_bytes", "{}", float(rss_bytes)))
            self._rows.add((at_ns, service, "process_cpu_seconds_total", "{}", cpu_s))
        self._round += 1
        if self._round % _FLUSH_EVERY == 0:
            self._rows.write(self._rows.take())


class MachineTime:
    """The share of all cores' time that was not idle, from one call to the next."""

    def __init__(self) -> None:
        self._before = _busy_and_total_s()
        self.passed_s = 0.0
        """CPU seconds of all cores between the last two calls."""

    def busy_share(self) -> float:
        """Return 0 to 1 since the last call."""
        busy_s, total_s = _busy_and_total_s()
        busy_before_s, total_before_s = self._before
        self._before = busy_s, total_s
        self.passed_s = total_s - total_before_s
        return min(1.0, max(0.0, (busy_s - busy_before_s) / self.passed_s)) if self.passed_s > 0 else 0.0


class OwnTime:
    """CPU seconds of this process, of services, and of all that descend from them, from one call to the next.

    What a process used between the last call and its end is nobody's.
    """

    def __init__(self) -> None:
        self._last_s: dict[psutil.Process, float] | None = None

    def used_s(self, pids: Iterable[int]) -> float | None:
        """Return the seconds since the last call; None at the first."""
        children = _children_by_parent()
        members = {process for pid in (os.getpid(), *pids) for process in _descendants(pid, children)}
        now_s = {process: used for process in members if (used := _used_s(process)) is not None}
        before_s, self._last_s = self._last_s, now_s
        if before_s is None:
            return None
        return sum(max(0.0, used - before_s.get(process, 0.0)) for process, used in now_s.items())


def _used_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


class Families:
    """The processes of each service, and what they have used; seconds of those that ended stay counted."""

    def __init__(self) -> None:
        self._members: dict[str, list[psutil.Process]] = {}
        self._roots: dict[str, int] = {}
        self._last_cpu_s: dict[psutil.Process, float] = {}
        self._cpu_s: defaultdict[str, float] = defaultdict(float)

    def refresh(self, pids: Mapping[str, int]) -> None:
        """Find out who belongs to which service."""
        children = _children_by_parent()
        self._roots = dict(pids)
        self._members = {service: list(_descendants(pid, children)) for service, pid in pids.items()}
        living = {process for members in self._members.values() for process in members}
        self._last_cpu_s = {p: used_s for p, used_s in self._last_cpu_s.items() if p in living}

    def usage(self, pids: Mapping[str, int]) -> dict[str, tuple[int, float]]:
        """Return resident bytes and CPU seconds so far, for each service that lives."""
        if pids != self._roots:
            self.refresh(pids)
        usage = {}
        for service, members in self._members.items():
            sizes = [size for process in members if (size := self._use(service, process)) is not None]
            if sizes:
                usage[service] = (sum(sizes), self._cpu_s[service])
        return usage

    def _use(self, service: str, process: psutil.Process) -> int | None:
        """Count a process' CPU time; return its resident bytes, None if it is gone."""
        try:
            with process.oneshot():
                times, rss_bytes = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            return None
        used_s = times.user + times.system
        self._cpu_s[service] += max(0.0, used_s - self._last_cpu_s.get(process, 0.0))
        self._last_cpu_s[process] = used_s
        return int(rss_bytes)


def _children_by_parent() -> dict[int, list[psutil.Process]]:
    children: defaultdict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            children[process.ppid()].append(process)
    return children


def _descendants(pid: int, children: Mapping[int, list[psutil.Process]]) -> Iterable[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        yield psutil.Process(pid)
    for child in children.get(pid, []):
        yield from _descendants(child.pid, children)


def _busy_and_total_s() -> tuple[float, float]:
    times = psutil.cpu_times()
    # Linux counts guest time twice: it is part of user time as well
    total_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total_s - times.idle - getattr(times, "iowait", 0.0), total_s
