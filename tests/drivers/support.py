"""Small targets of our own, and a guard that only remembers."""

import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.model.files.target import Target

SERVICE = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("serving at", os.environ["PORT"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FLOWS = {"look": {"steps": [{"name": "look", "path": "/"}]}}


def target(services: Mapping[str, Any], **more: Any) -> Target:
    """Return a target of these services; a service that is a string is a Python program."""
    written = {
        name: {"command": ["{python}", "-u", "-c", spec], "metrics": None} if isinstance(spec, str) else spec
        for name, spec in services.items()
    }
    raw = {
        "name": "small",
        "entry": next(iter(services)),
        "environment": {"PORT": "{port}"},
        "services": written,
        "tenants": {"acme": {"plan": "gold", "secret": "s"}},
        "flows": FLOWS,
    }
    return Target.model_validate({**raw, **more})


@dataclass
class Remembering:
    """A guard without a reaper behind it."""

    run_id: str = f"drivers-{id(sys)}"
    told: list[str] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    folders: dict[int, Path] = field(default_factory=dict)
    leases: list[str] = field(default_factory=list)

    @property
    def marker(self) -> Mapping[str, str]:
        return {"HARNESS_RUN": self.run_id}

    def process(self, pid: int, name: str, *, stop_signal: int = signal.SIGTERM) -> int:
        return self._tell(f"process {name}")

    def folder(self, path: Path) -> int:
        token = self._tell("folder")
        self.folders[token] = path
        return token

    def proxy(self, api: str) -> None:
        self.leases.append(api)

    def undo(self, token: int) -> bool:
        shutil.rmtree(self.folders[token])
        self.done(token)
        return True

    def done(self, token: int) -> None:
        self.finished.append(token)

    def outstanding(self) -> list[str]:
        return [name for token, name in enumerate(self.told) if token not in self.finished]

    def _tell(self, what: str) -> int:
        self.told.append(what)
        return len(self.told) - 1
