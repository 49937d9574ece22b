"""What every driver promises, on a target that the tests bring. The rows are in `ways.py`."""

import asyncio
import os
import time
import urllib.request

import pytest

from harness.drivers.fault_proxy import faults_in
from harness.faults.proxy.proxy_calls import ProxyCalls
from harness.model.run.capabilities import Capability
from harness.model.run.events import Kind
from harness.units.named import unit_named
from harness.units.unit import Limit
from tests.drivers.support import Remembering
from tests.drivers.ways import OWNS_ITS_STACK, TARGET, WAYS, World

PATIENCE_S = 20.0  # a hang guard, not an expectation


@pytest.fixture(params=WAYS)
def started(request, tmp_path):
    """Return what acts on a started driver of each kind, and afterwards looks at the driver's world."""
    world = World(tmp_path, Remembering(run_id=f"contract-{tmp_path.name}-{os.getpid()}"))

    def run(act):
        async def go():
            async with WAYS[request.param](world) as driver:
                try:
                    await driver.start()
                    return await act(driver)
                finally:
                    await driver.stop()
                    await driver.stop()

        return asyncio.run(go())

    run.world, run.way = world, request.param
    return run


async def fetch(url):
    def get():
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()

    return await asyncio.to_thread(get)


async def with_the_link(driver, *, enabled):
    calls = ProxyCalls(driver.proxy_api, time.monotonic() + PATIENCE_S)
    await asyncio.to_thread(calls.set_enabled, "front -> back", enabled=enabled)


async def until(holds, what):
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + PATIENCE_S
    while not holds():
        assert loop.time() < give_up_s, f"{what}: not within {PATIENCE_S:g}s"
        await asyncio.sleep(0.05)


def exits(world, service):
    found = [event for event in world.heard if event.kind is Kind.PROCESS_EXITED]
    return [event.fields["expected"] for event in found if event.fields["service"] == service]


def test_every_service_is_where_the_driver_says_and_calls_go_through_the_proxy(started):
    async def act(driver):
        urls = {**driver.service_urls}
        here = {name: await fetch(url) for name, url in urls.items()}
        return here, await fetch(f"{driver.entry_url}/behind"), driver.where.links, dict(driver.metrics_endpoints)

    here, behind, links, metrics = started(act)
    assert here == {name: f"from {name}" for name in TARGET.services}
    assert behind == "from back"
    assert set(links) == set(TARGET.links)
    assert set(metrics) == {"front"}


def test_a_link_that_is_down_in_the_proxy_is_down_for_its_caller(started):
    async def act(driver):
        await with_the_link(driver, enabled=False)
        found = await faults_in(driver.proxy_api)
        with pytest.raises(OSError):  # noqa: PT011 - refused, or hung up
            await fetch(f"{driver.entry_url}/behind")
        await with_the_link(driver, enabled=True)
        return found, await fetch(f"{driver.entry_url}/behind"), await faults_in(driver.proxy_api)

    assert started(act) == (["front -> back is down"], "from back", [])


def test_the_name_and_what_it_can_do_stand_in_messages(started):
    async def act(driver):
        return driver.name, driver.capabilities

    name, capabilities = started(act)
    assert name == TARGET.deployment.value
    assert capabilities <= frozenset(Capability)


@pytest.mark.parametrize("service", ["back", "kept"])
def test_a_killed_service_is_no_crash_and_serves_again(started, service):
    async def act(driver):
        crash = asyncio.create_task(driver.first_crash())
        unit = await asyncio.to_thread(driver.unit_of, service)
        await asyncio.to_thread(driver.expect_death, service)
        unit.kill()
        await until(lambda: not unit.living(), "it is dead")
        cause = await asyncio.to_thread(driver.revive, service)
        answer = await fetch(driver.service_urls[service])
        after = await asyncio.to_thread(driver.unit_of, service)
        await until(lambda: exits(started.world, service), "its end is recorded")
        crashed = crash.done()
        crash.cancel()
        return cause, answer, crashed, set(unit.living()) & set(after.living())

    assert started(act) == ("", f"from {service}", False, set())
    assert exits(started.world, service)[:1] == [True]


def test_a_service_that_ends_by_itself_is_a_crash_with_its_name(started):
    async def act(driver):
        unit = await asyncio.to_thread(driver.unit_of, "back")
        unit.kill()
        return await asyncio.wait_for(driver.first_crash(), PATIENCE_S)

    assert str(started(act)).startswith("back ")
    assert exits(started.world, "back")[:1] == [False]


def test_a_supervised_service_that_ends_and_comes_back_is_recorded_and_no_crash(started):
    async def act(driver):
        crash = asyncio.create_task(driver.first_crash())
        unit = await asyncio.to_thread(driver.unit_of, "kept")
        unit.kill()
        await until(lambda: exits(started.world, "kept"), "its end is recorded")
        await until(lambda: pids_started(started.world, "kept") - set(unit.living()), "its new start is recorded")
        crashed = crash.done()
        crash.cancel()
        return crashed

    assert started(act) is False
    assert exits(started.world, "kept")[0] is False


def pids_started(world, service):
    found = [event for event in world.heard if event.kind is Kind.PROCESS_STARTED]
    return {str(event.fields["pid"]) for event in found if event.fields["service"] == service}


@pytest.mark.parametrize("service", ["front", "kept"])
def test_a_paused_unit_is_resumed_by_its_identity_alone(started, service):
    async def act(driver):
        unit = await asyncio.to_thread(driver.unit_of, service)
        unit.pause()
        await until(lambda: unit.paused() == unit.living() != [], "it is paused")
        unit_named(unit.identity).resume()
        await until(lambda: not unit.paused(), "it goes on")
        return await fetch(driver.service_urls[service])

    assert started(act) == f"from {service}"


def test_a_limit_of_a_unit_is_restored_by_its_identity_alone(started):
    async def act(driver):
        unit = await asyncio.to_thread(driver.unit_of, "back")
        before = unit.read_limit(Limit.FILES)
        unit.lower_limit(Limit.FILES, 64)
        lowered = unit.limited(Limit.FILES, 64) == unit.living()
        cause = unit_named(unit.identity).restore_limit(Limit.FILES, before)
        return lowered, cause, unit.read_limit(Limit.FILES) == before

    assert started(act) == (True, "", True)


def test_what_is_not_running_is_no_unit(started):
    async def act(driver):
        unit = await asyncio.to_thread(driver.unit_of, "back")
        await asyncio.to_thread(driver.expect_death, "back")
        unit.kill()
        await until(lambda: driver.unit_of("back") is None, "nothing of it runs")
        return await asyncio.to_thread(driver.revive, "back")

    assert started(act) == ""


def test_stopping_ends_what_it_started_and_nothing_else(started):
    async def act(driver):
        units = [driver.unit_of(name) for name in TARGET.services]
        await driver.stop()
        return [bool(unit.living()) for unit in units]

    assert started(act) == [started.way not in OWNS_ITS_STACK] * len(TARGET.services)
    assert started.world.guard.outstanding() == []
