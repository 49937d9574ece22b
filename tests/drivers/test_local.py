"""The local driver: everything up together or an error that says which, why and where; and nothing left."""

import asyncio
import json
import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from harness.drivers import addresses as addresses_module
from harness.drivers import readiness
from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Setting
from harness.drivers.local import driver as local_module
from harness.model.errors import TargetError, UsageError
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Kind
from tests.drivers.support import SERVICE, Remembering, target

DATABASE = {"kind": "postgres", "database": "orders"}
NEVER_READY = SERVICE.replace("self.send_response(200)", "self.send_response(503)")
DIES = "import sys; print('cannot read the settings'); sys.exit(7)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVICE
LINKED = {"front -> back": {"env": "BACK_URL"}}


def setting(run, guard, emit, **more):
    return Setting(run=run, run_id="r", seed=1, emit=emit, clock=SteadyClock(), guard=guard, **more)


@pytest.fixture
def drive(tmp_path):
    """Return (act on a started driver, guard, events): whatever happens, the driver is stopped."""
    guard, heard = Remembering(run_id=f"drivers-{tmp_path.name}-{os.getpid()}"), []

    def run(of, act=None, **more):
        async def go():
            driver = driver_for(of, setting(tmp_path, guard, heard.append, **more))
            try:
                await driver.start()
                return await act(driver) if act else None
            finally:
                await driver.stop()
                await driver.stop()

        return asyncio.run(go())

    run.guard, run.heard = guard, heard
    return run


async def fetch(url):
    def get():
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()

    return await asyncio.to_thread(get)


def test_services_start_with_their_environment_and_links_lead_through_the_proxy(drive, tmp_path):
    async def act(driver):
        environment = json.loads(await fetch(driver.entry_url))
        through_proxy = json.loads(await fetch(environment["BACK_URL"]))
        return environment, through_proxy, driver.where.all(), driver.proxy_api

    environment, behind, addresses, api = drive(target({"front": SERVICE, "back": SERVICE}, links=LINKED), act)
    assert environment["HARNESS_RUN"] == drive.guard.run_id
    assert behind["PORT"] == addresses["back"].split(":")[1]
    assert environment["BACK_URL"] != f"http://{addresses['back']}"
    assert drive.guard.leases == [api]
    assert drive.guard.outstanding() == []
    assert "serving at" in (tmp_path / "logs-raw" / "front.log").read_text()


def test_further_ports_a_shared_folder_and_readiness_by_connection(drive, tmp_path):
    managed = {
        "command": ["{python}", "-u", "-c", SERVICE],
        "env": {"PORT": "{port.admin}", "MAIN": "{port}", "STATE": "{state}"},
        "ports": ["admin"],
        "ready": "admin:/",
        "metrics": "admin:/metrics",
    }
    plain = {"command": ["{python}", "-u", "-c", SERVICE], "env": {"STATE": "{state}"}, "ready": "tcp", "metrics": None}

    async def act(driver):
        seen = [json.loads(await fetch(url)) for url in (driver.metrics_endpoints["managed"], driver.entry_url)]
        there = await asyncio.to_thread(Path(seen[0]["STATE"]).is_dir)
        return seen, there, dict(driver.metrics_endpoints)

    (mine, other), there, metrics = drive(target({"plain": plain, "managed": managed}), act)
    assert there
    assert not Path(mine["STATE"]).exists()
    assert mine["STATE"] == other["STATE"]
    assert mine["PORT"] != mine["MAIN"]
    assert metrics == {"managed": f"http://127.0.0.1:{mine['PORT']}/metrics"}
    assert drive.guard.outstanding() == []


def test_a_database_is_reached_through_its_link(drive):
    links = {"front -> orders-db": {"env": "DATABASE_URL", "value": "postgresql://orders@{address}/orders"}}

    async def act(driver):
        import asyncpg

        url = json.loads(await fetch(driver.entry_url))["DATABASE_URL"]
        connection = await asyncpg.connect(url, ssl=False)
        try:
            return await connection.fetchval("SELECT current_user || '@' || current_database()")
        finally:
            await connection.close()

    assert drive(target({"front": SERVICE, "orders-db": DATABASE}, links=links), act) == "orders@orders"
    assert drive.guard.outstanding() == []
    assert not any(folder.exists() for folder in drive.guard.folders.values())


def test_every_start_and_end_is_an_event(drive):
    drive(target({"front": SERVICE}))
    told = [(event.kind, event.fields["service"], event.fields.get("expected")) for event in drive.heard]
    assert sorted(told, key=str) == sorted(
        [
            (Kind.PROCESS_STARTED, "fault-proxy", None),
            (Kind.PROCESS_STARTED, "front", None),
            (Kind.PROCESS_EXITED, "front", True),
            (Kind.PROCESS_EXITED, "fault-proxy", True),
        ],
        key=str,
    )


def test_a_service_that_dies_is_named_with_its_code_its_words_and_its_log(drive, tmp_path):
    with pytest.raises(TargetError) as raised:
        drive(target({"front": SERVICE, "back": DIES}))
    assert str(raised.value) == (
        "back exited with code 7 before it was ready; its last words:\n  cannot read the settings"
    )
    assert raised.value.hint == f"its log is {tmp_path / 'logs-raw' / 'back.log'}"
    assert drive.guard.outstanding() == []


def test_a_service_that_is_never_ready_is_named_with_its_answer(drive, monkeypatch):
    monkeypatch.setattr(readiness.until_ready, "__kwdefaults__", {"limit_s": 1.0})
    with pytest.raises(TargetError, match=r"back is not ready after 1s: .*/health/ready answers 503"):
        drive(target({"front": SERVICE, "back": NEVER_READY}))
    assert drive.guard.outstanding() == []


def test_a_program_that_does_not_exist_is_named(drive):
    with pytest.raises(TargetError, match="back: cannot start no-such-program: No such file"):
        drive(target({"front": SERVICE, "back": {"command": ["no-such-program"]}}))
    assert drive.guard.outstanding() == []


def test_an_unknown_placeholder_is_found_before_anything_starts(drive):
    with pytest.raises(UsageError, match="unknown placeholder"):
        drive(target({"front": SERVICE}, environment={"A": "{nope}"}))
    assert drive.guard.told == []


def test_a_port_that_somebody_took_costs_a_try_and_callers_notice_nothing(drive, monkeypatch):
    squatter = socket.create_server(("127.0.0.1", 0))
    choose = addresses_module.free_ports
    taken = [squatter.getsockname()[1]]

    def unlucky(host, names):
        ports = choose(host, names)
        return {name: taken.pop() if name == "back" and taken else port for name, port in ports.items()}

    monkeypatch.setattr(addresses_module, "free_ports", unlucky)

    async def act(driver):
        front = json.loads(await fetch(driver.entry_url))
        return json.loads(await fetch(front["BACK_URL"]))["PORT"], driver.where.address("back")

    with squatter:
        port, address = drive(target({"front": SERVICE, "back": SERVICE}, links=LINKED), act)
    assert address == f"127.0.0.1:{port}"
    assert int(port) != squatter.fileno()
    assert [event.fields["service"] for event in drive.heard if event.kind is Kind.PROCESS_STARTED].count("back") == 2


def test_ports_that_are_always_taken_end_in_an_error(drive, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        monkeypatch.setattr(addresses_module, "free_ports", lambda host, names: dict.fromkeys(names, taken))
        with pytest.raises(TargetError, match="4 free ports in turn were taken"):
            drive(target({"front": SERVICE}))
    assert drive.guard.outstanding() == []


def test_a_process_that_is_killed_later_is_a_crash_with_its_name(drive):
    async def act(driver):
        os.kill(driver.pids["back"], signal.SIGKILL)
        return await asyncio.wait_for(driver.first_crash(), 10)

    error = drive(target({"front": SERVICE, "back": SERVICE}), act)
    assert str(error).startswith("back was killed by SIGKILL during the run; its last words:\n  serving at")
    exits = {e.fields["service"]: e.fields["expected"] for e in drive.heard if e.kind is Kind.PROCESS_EXITED}
    assert exits == {"back": False, "front": True, "fault-proxy": True}


def test_the_fault_proxy_is_watched_too(drive):
    async def act(driver):
        os.kill(driver.pids["fault-proxy"], signal.SIGKILL)
        return await asyncio.wait_for(driver.first_crash(), 10)

    assert str(drive(target({"front": SERVICE}), act)).startswith("fault-proxy was killed by SIGKILL")


def test_haste_ends_a_stubborn_service_at_once(drive):
    urgent = asyncio.Event()

    async def act(driver):
        urgent.set()

    drive(target({"front": STUBBORN}), act, urgent=urgent)
    codes = {e.fields["service"]: e.fields["code"] for e in drive.heard if e.kind is Kind.PROCESS_EXITED}
    assert codes == {"front": -signal.SIGKILL, "fault-proxy": -signal.SIGKILL}


def test_a_stubborn_service_is_killed_in_the_end(drive, monkeypatch):
    monkeypatch.setattr(local_module, "_POLITE_S", 0.3)
    drive(target({"front": STUBBORN}))
    codes = {e.fields["service"]: e.fields["code"] for e in drive.heard if e.kind is Kind.PROCESS_EXITED}
    assert codes["front"] == -signal.SIGKILL


def test_cancelling_the_start_leaves_nothing(tmp_path):
    guard, begun = Remembering(run_id=f"drivers-cancel-{os.getpid()}"), asyncio.Event()

    def hear(event):
        if event.fields["service"] == "front":
            begun.set()

    async def start_and_cancel():
        driver = driver_for(target({"front": NEVER_READY, "orders-db": DATABASE}), setting(tmp_path, guard, hear))
        starting = asyncio.create_task(driver.start())
        await begun.wait()
        starting.cancel()
        await asyncio.wait([starting])
        await driver.stop()
        return starting.cancelled()

    assert asyncio.run(start_and_cancel())
    assert guard.outstanding() == []


def test_protections_are_switched_off_where_they_are(drive):
    protections = {"breaker": {"kind": "breaker", "service": "back", "off": {"env": {"OFF": "breaker"}}}}
    of = target(
        {"front": SERVICE, "back": SERVICE}, links=LINKED, protections=protections, proofs={"env": {"PROOFS": "on"}}
    )

    async def act(driver):
        front = json.loads(await fetch(driver.entry_url))
        return front, json.loads(await fetch(front["BACK_URL"]))

    front, back = drive(of, act, without=["breaker"])
    assert (front.get("OFF"), front["PROOFS"], back["OFF"], back["PROOFS"]) == (None, "on", "breaker", "on")


def test_metrics_are_asked_at_the_services_own_address(drive):
    of = target({"front": {"command": ["{python}", "-u", "-c", SERVICE], "metrics": "/m"}, "back": SERVICE})

    async def act(driver):
        return dict(driver.metrics_endpoints), driver.entry_url

    endpoints, entry = drive(of, act)
    assert endpoints == {"front": f"{entry}/m"}


@pytest.mark.parametrize(("looked_into", "sees"), [((), False), (("front -> back",), True)])
def test_links_are_looked_into_only_where_that_is_asked_for(drive, looked_into, sees):
    async def act(driver):
        told = json.loads(await fetch(f"http://{driver.proxy_api}/harness/links"))
        return told["front -> back"]["sees_http"]

    of = target({"front": SERVICE, "back": SERVICE}, links=LINKED, tenant_header="X-Tenant-Id")
    assert drive(of, act, looked_into=frozenset(looked_into)) is sees


def test_a_link_under_tls_is_told_whose_identities_it_has(drive):
    async def act(driver):
        told = json.loads(await fetch(f"http://{driver.proxy_api}/harness/links"))
        return told["front -> back"]

    links = {"front -> back": {"env": "BACK_URL", "value": "https://{address}"}}
    of = target({"front": SERVICE, "back": SERVICE}, links=links, identities="{state}/identities/{service}")
    told = drive(of, act, looked_into=frozenset(["front -> back"]))
    assert (told["protocol"], told["sees_http"], "identities/front" in told["why"]) == ("https", False, True)
