"""A small harness that the tests kill: a stack of its own, a fault in a foreign proxy, and nothing else to do.

python -m tests.faults.victim RUN FOREIGN_PROXY_API LEASE_S HOLD_S
"""

import asyncio
import sys
from pathlib import Path

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Setting
from harness.faults.safety.safety import Safety
from harness.faults.schedule import FaultSchedule
from harness.model.files.target import Target
from harness.model.run.clock import NS_PER_S, SteadyClock
from harness.model.run.events import Kind
from harness.model.run.plan import Plan
from harness.recording.event_log import EventLog
from tests.faults.support import plan_with

# It starts a child in a session of its own, of which no journal tells.
SERVICE = """
import http.server, os, subprocess, sys
child = "import time; time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

TARGET = Target.model_validate(
    {
        "name": "victim",
        "entry": "front",
        "environment": {"PORT": "{port}"},
        "services": {
            "front": {"command": ["{python}", "-c", SERVICE], "metrics": None},
            "front-db": {"kind": "postgres", "database": "front"},
        },
        "links": {"front -> front-db": {"env": "DATABASE_URL", "value": "postgresql://front@{address}/front"}},
        "tenants": {"acme": {}},
        "flows": {"look": {"steps": [{"name": "look", "path": "/"}]}},
    }
)


class Foreign:
    """A proxy that is not ours to start or stop."""

    def __init__(self, api: str) -> None:
        self.proxy_api = api


async def main(run: Path, api: str, link: str, lease_s: float, hold_s: float) -> None:
    """Start everything, break something, and wait to be killed; after *hold_s* end as a harness should."""
    clock, log = SteadyClock(), EventLog(run)
    safety = Safety(run, run_id=run.name, lease_s=lease_s, emit=log.append, clock=clock)
    setting = Setting(run=run, run_id=run.name, seed=1, emit=log.append, clock=clock, guard=safety)
    driver = driver_for(TARGET, setting)
    try:
        await safety.start()
        print("safe", flush=True)
        schedule = FaultSchedule(
            faults(link, hold_s), start_ns=clock.now_ns() - NS_PER_S, driver=Foreign(api), emit=log.append, clock=clock,
            safety=safety,
        )  # fmt: skip
        await asyncio.gather(driver.start(), schedule.run())
        await asyncio.sleep(0.2)
    finally:
        await driver.stop()
        await safety.dismiss()
        log.close()


def faults(link: str, hold_s: float) -> Plan:
    """Return a plan whose faults begin at once."""
    duration = {"duration": f"{hold_s:g}s"}
    return plan_with(
        {"link": link, "latency": "50ms", **duration},
        {"link": link, "timeout": "0s", "stream": "upstream", **duration},
        fault_s="600s",
    )


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True)
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:4], float(sys.argv[4]), float(sys.argv[5])))
    print(Kind.RUN_ENDED.value, flush=True)
