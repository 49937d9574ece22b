"""The driver finds what runs, says what does not, and ends nothing."""

import asyncio
import http.server
import threading
import urllib.request
from dataclasses import replace

import pytest

from docs.extending.driver import running_driver
from docs.extending.driver.running_driver import CAPABILITIES, RunningDriver
from harness.drivers import catalogue
from harness.drivers.catalogue import DriverKind, driver_for
from harness.drivers.driver import Driver, Setting
from harness.model.errors import TargetError
from harness.model.files.target import Deployment, Target
from harness.model.run.capabilities import refusal
from harness.model.run.clock import SteadyClock

TARGET = Target.model_validate(
    {
        "name": "somebody-elses",
        "deployment": "external",
        "entry": "shop",
        "services": {"shop": {"metrics": None}},
        "tenants": {"acme": {}},
        "flows": {"look": {"steps": [{"name": "look", "path": "/"}]}},
    }
)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def setting(tmp_path):
    return Setting(run=tmp_path, run_id="run-1", seed=1, emit=lambda _: None, clock=SteadyClock(), guard=None)


@pytest.fixture
def row(monkeypatch, shop):
    """Add the driver's row, as the catalogue would have it."""
    row = DriverKind(
        Deployment.EXTERNAL, CAPABILITIES, lambda target, at: RunningDriver(target, at, ports={"shop": shop})
    )
    monkeypatch.setattr(catalogue, "DRIVERS", {**catalogue.DRIVERS, row.deployment: row})
    return row


def test_it_is_reached_through_the_one_door_and_ends_nothing(row, setting):
    async def use(driver: Driver):
        await driver.start()
        await driver.stop()
        await driver.stop()
        return await asyncio.to_thread(lambda: urllib.request.urlopen(driver.entry_url, timeout=5).read())

    assert asyncio.run(use(driver_for(TARGET, setting))) == b"ok"


def test_it_has_every_member_of_the_protocol(setting):
    members = {name for name in vars(Driver) if not name.startswith("_")}
    assert {name for name in members if not hasattr(RunningDriver, name)} == set()


def test_what_does_not_run_is_named(setting, monkeypatch):
    monkeypatch.setattr(running_driver, "READY_LIMIT_S", 0.2)
    with pytest.raises(TargetError, match=r"nothing answers for shop at 127\.0\.0\.1:1 after 0\.2s"):
        asyncio.run(RunningDriver(TARGET, setting, ports={"shop": 1}).start())


def test_a_fault_that_it_cannot_do_is_refused_with_both_named(row):
    from harness.model.files.fault_kinds.declared import every_kind

    needs = every_kind()["kill"].needs
    assert refusal("kill", needs, driver="external", has=replace(row).capabilities) == (
        "kill needs 'kill', which the driver 'external' does not have"
    )
