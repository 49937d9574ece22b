"""Every driver there is, started on a target of three small programs: a new driver adds a row to `WAYS`."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Driver, Setting
from harness.drivers.standing.holder import Holder, Traces
from harness.drivers.standing.stack import read_stack
from harness.model.files.target import Target
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event
from harness.units.identity import Identity
from tests.drivers.support import Remembering, target

ANSWER = """
import http.server, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"from " + os.environ["NAME"].encode()
        if self.path == "/behind":
            body = urllib.request.urlopen(os.environ["BACK_URL"], timeout=2).read()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
KEEPER = """
import os, subprocess, sys
while True:
    subprocess.run([sys.executable, "-c", os.environ["PROGRAM"]])
"""
TARGET: Target = target(
    {
        "front": {"command": ["{python}", "-c", ANSWER]},
        "back": {"command": ["{python}", "-c", ANSWER], "metrics": None},
        "kept": {
            "command": ["{python}", "-c", KEEPER],
            "env": {"PROGRAM": ANSWER},
            "supervised": True,
            "metrics": None,
        },
    },
    links={"front -> back": {"env": "BACK_URL"}},
    environment={"PORT": "{port}", "NAME": "{service}"},
)


@dataclass
class World:
    """What a driver is given, and what it did with it."""

    folder: Path
    guard: Remembering
    heard: list[Event] = field(default_factory=list)

    def setting(self, folder: Path) -> Setting:
        folder.mkdir(exist_ok=True)
        return Setting(
            run=folder, run_id=self.guard.run_id, seed=1, emit=self.heard.append, clock=SteadyClock(), guard=self.guard
        )


@asynccontextmanager
async def local(world: World) -> AsyncIterator[Driver]:
    """Yield a stack of one's own, not started yet."""
    yield driver_for(TARGET, world.setting(world.folder / "run"))


@asynccontextmanager
async def standing(world: World) -> AsyncIterator[Driver]:
    """Yield what uses a stack that somebody else holds; what the holder does is not heard."""
    other = World(world.folder, Remembering(run_id=world.guard.run_id))
    setting = other.setting(world.folder / "up")
    owner = driver_for(TARGET, setting)
    traces = Traces("http://127.0.0.1:9", 0)
    holder = Holder(TARGET, owner, setting, traces=traces, holder=str(Identity.of(os.getpid())))
    try:
        await owner.start()
        await holder.start()
        yield driver_for(TARGET, world.setting(world.folder / "run"), on=read_stack(setting.run))
    finally:
        await holder.stop()
        await owner.stop()


Way = Callable[[World], AbstractAsyncContextManager[Driver]]
WAYS: dict[str, Way] = {"local": local, "standing": standing}
OWNS_ITS_STACK = {"local"}
