"""A small harness that holds one fault, to be killed, stopped, aborted: real safety, real injector, nothing else.

python -m tests.faults.holder RUN '{"link": …}' '{"api": …, "url": …, "database": …, "pids": […]}' LEASE_S HOLD_S [deaf]

It says "safe", "applied", "undoing" and "done" on standard output. A deaf one does not react to SIGTERM.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from harness.faults.kinds.catalogue import Circumstances, injector_for
from harness.faults.safety.safety import Safety
from harness.model.files.faults import Fault
from harness.model.files.target import Flags
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event, Kind
from harness.recording.event_log import EventLog
from harness.runner.interruption import interruptible
from harness.units.processes import Processes

FLAGS = Flags.model_validate({"service": "flags", "write": {"path": "/flags/{flag}"}})


class Given:
    """A target of which the command line says what is where."""

    def __init__(self, where: dict[str, Any]) -> None:
        self._where = where

    @property
    def proxy_api(self) -> str:
        return str(self._where.get("api", ""))

    def unit_of(self, _service: str) -> Processes:
        return Processes.of(psutil.Process(pid) for pid in self._where.get("pids", []))

    def expect_death(self, _service: str) -> None:
        pass

    def revive(self, _service: str) -> str:
        return ""

    def database_url(self, _service: str) -> str:
        return str(self._where.get("database", ""))

    def url_at(self, _service: str, place: str) -> str:
        return f"{self._where.get('url', '')}{place}"


async def hold(
    run: Path, fault: dict[str, Any], where: dict[str, Any], lease_s: float, hold_s: float, say: Callable[[str], Any]
) -> None:
    """Apply the fault, hold it, take it back; SIGTERM takes it back at once."""
    clock, log = SteadyClock(), EventLog(run)

    def note(text: str) -> None:
        log.append(Event(clock.now_ns(), Kind.NOTE, {"text": text}))

    safety = Safety(run, run_id=run.name, lease_s=lease_s, emit=log.append, clock=clock)
    with interruptible() as interruption:
        interruption.on_change(note)
        try:
            await safety.start()
            if where.get("api") and where.get("is_embedded"):
                await asyncio.to_thread(safety.proxy, where["api"])
            say("safe")
            around = Circumstances("fault-1", Given(where), FLAGS, safety)
            injector = await asyncio.to_thread(injector_for, Fault.model_validate(fault), around)
            try:
                await asyncio.shield(asyncio.to_thread(injector.apply))
                say("applied")
                await asyncio.sleep(hold_s)
            finally:
                say("undoing")
                await asyncio.to_thread(injector.undo)
                injector.settle()
        except asyncio.CancelledError:
            if interruption.by is None:
                raise
        finally:
            await safety.dismiss()
            log.close()
    say("done")


def main(argv: list[str]) -> None:
    """Hold as the command line says."""
    run = Path(argv[0])
    run.mkdir(parents=True)
    if "deaf" in argv[5:]:
        asyncio.SelectorEventLoop.add_signal_handler = lambda *_: None  # type: ignore[method-assign]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fault, where = json.loads(argv[1]), json.loads(argv[2])
    asyncio.run(hold(run, fault, where, float(argv[3]), float(argv[4]), lambda word: print(word, flush=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
