"""A fault in the proxy is read back as long as it is there: with its own strength, with another one, or gone."""

import asyncio
import os

import pytest

from harness.faults.kinds.injector import AS_ASKED, GONE, ReadBack
from harness.faults.safety.safety import Safety
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard, make

TOXIC = f"/proxies/{LINK.replace(' ', '%20')}/toxics/fault-1"


@pytest.fixture
def inject(proxy, tmp_path):
    """Return a function that makes and applies a fault; a journal without a reaper stands behind it."""
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()

    def applied(**raw):
        injector = make(Fault.model_validate({"link": LINK, **raw}), api=proxy.api, safety=safety)
        injector.apply()
        assert injector.read_back() == AS_ASKED
        return injector

    yield applied
    asyncio.run(safety.dismiss())


def test_a_toxic_whose_attributes_were_changed_has_another_strength(inject, proxy):
    injector = inject(latency="10s")
    proxy.calls._call("POST", TOXIC, {"attributes": {"latency": 20}})
    assert injector.read_back() == ReadBack(intact=False, found="latency 20 for 10000")
    proxy.calls._call("POST", TOXIC, {"attributes": {"latency": 10_000}})
    assert injector.read_back() == AS_ASKED


def test_a_toxic_that_touches_fewer_connections_has_another_strength(inject, proxy):
    injector = inject(timeout="0s")
    proxy.calls._call("POST", TOXIC, {"toxicity": 0.1})
    assert injector.read_back() == ReadBack(intact=False, found="toxicity 0.1 for 1.0")


def test_a_toxic_that_grows_is_as_large_as_it_should_be_by_now(inject):
    injector = inject(latency="10s", ramp="10s")
    injector.grow(5.0)
    assert injector.read_back() == AS_ASKED


@pytest.mark.parametrize("lift", ["remove", "reset"])
def test_a_toxic_that_somebody_removed_is_gone(lift, inject, proxy):
    injector = inject(latency="10s")
    if lift == "remove":
        proxy.calls.remove_toxic(LINK, "fault-1")
    else:
        proxy.calls.reset()
    assert injector.read_back() == GONE


def test_a_link_that_somebody_enabled_is_not_down(inject, proxy):
    injector = inject(down=True)
    proxy.calls.set_enabled(LINK, enabled=True)
    assert injector.read_back() == ReadBack(intact=False, found="the link is enabled")


def test_a_proxy_that_does_not_answer_says_nothing(inject, proxy):
    injector = inject(latency="10s")
    proxy.stop()
    assert injector.read_back().intact is None
