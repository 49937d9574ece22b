"""Faults on a link, against the real proxy: what is asked for is there, is observed by open connections, and goes."""

import asyncio
import os

import pytest

from harness.faults.kinds.injector import UNKNOWN
from harness.faults.kinds.link_faults import toxic_of
from harness.faults.proxy.toxiproxy_client import Toxic, ToxiproxyClient
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError, TargetError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard, make, wait_until

FAULTS = [
    ({"latency": "10s"}, Toxic("f", "latency", "downstream", 1.0, {"latency": 10_000, "jitter": 0})),
    (
        {"latency": {"latency": "250ms", "jitter": "20ms"}, "toxicity": "50%", "stream": "upstream"},
        Toxic("f", "latency", "upstream", 0.5, {"latency": 250, "jitter": 20}),
    ),
    ({"bandwidth": 0}, Toxic("f", "bandwidth", "downstream", 1.0, {"rate": 0})),
    ({"slow_close": "1s"}, Toxic("f", "slow_close", "downstream", 1.0, {"delay": 1000})),
    ({"timeout": "0s"}, Toxic("f", "timeout", "downstream", 1.0, {"timeout": 0})),
    ({"reset_peer": "50ms"}, Toxic("f", "reset_peer", "downstream", 1.0, {"timeout": 50})),
    (
        {"slicer": {"average_size": 64, "size_variation": 8, "delay": "2ms"}},
        Toxic("f", "slicer", "downstream", 1.0, {"average_size": 64, "size_variation": 8, "delay": 2000}),
    ),
    ({"limit_data": 1000}, Toxic("f", "limit_data", "downstream", 1.0, {"bytes": 1000})),
]
IDS = [next(iter(raw)) for raw, _ in FAULTS]


def fault(**raw):
    return Fault.model_validate({"link": LINK, **raw})


@pytest.fixture
def safety(tmp_path):
    """A journal without a reaper: these tests undo what they do."""
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    yield safety
    asyncio.run(safety.dismiss())


@pytest.fixture
def inject(proxy, safety):
    return lambda **raw: make(fault(**raw), api=proxy.api, safety=safety)


def ask(connection, words=b"hello"):
    connection.sendall(words)
    return connection.recv(100)


@pytest.mark.parametrize(("raw", "toxic"), FAULTS, ids=IDS)
def test_a_fault_is_written_in_toxiproxys_units(raw, toxic):
    assert toxic_of(fault(**raw), "f") == toxic


@pytest.mark.parametrize(("raw", "toxic"), FAULTS, ids=IDS)
def test_every_toxic_is_placed_read_back_and_removed(raw, toxic, inject, proxy):
    injector = inject(**raw)
    injector.apply()
    assert injector.confirm()
    assert proxy.toxics() == ["fault-1"]
    assert injector.undo() == ""
    assert (proxy.toxics(), injector.confirm()) == ([], False)


def test_a_toxic_with_other_values_is_not_what_was_asked_for(inject, proxy):
    injector = inject(latency="10s")
    injector.apply()
    path = f"/proxies/{LINK.replace(' ', '%20')}/toxics/fault-1"
    proxy.calls._call("POST", path, {"attributes": {"latency": 1}})
    assert not injector.confirm()
    injector.undo()


def test_an_open_connection_feels_the_fault_and_loses_it(inject, proxy):
    with proxy.connect() as connection:
        assert ask(connection) == b"hello"
        injector = inject(limit_data=3)
        injector.apply()
        assert ask(connection) == b"hel"
        observed = wait_until(lambda: (observed := injector.observed()).connections > 0 and observed, "it is observed")
        assert (observed.connections, observed.first_observed_ns is not None) == (1, True)
        injector.undo()
        assert injector.observed() == observed  # the last count outlives the fault


def test_a_fault_without_traffic_was_observed_by_nobody(inject):
    injector = inject(latency="10s")
    injector.apply()
    assert (injector.observed().connections, injector.observed().first_observed_ns) == (0, None)
    injector.undo()


def test_a_proxy_that_does_not_count_leaves_it_unknown(inject, proxy):
    injector = inject(latency="10s")
    assert injector.observed() == UNKNOWN
    proxy.stop()
    assert injector.observed() == UNKNOWN


def test_a_link_that_is_down_cuts_and_refuses(inject, proxy):
    with proxy.connect() as connection:
        assert ask(connection) == b"hello"
        injector = inject(down=True)
        injector.apply()
        assert injector.confirm()
        assert connection.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            proxy.connect()
        assert injector.observed().connections == 1
    assert injector.undo() == ""
    with proxy.connect() as connection:
        assert ask(connection) == b"hello"


def test_a_link_that_goes_down_with_nobody_on_it_was_observed_by_nobody_knows_whom(inject):
    injector = inject(down=True)
    injector.apply()
    assert injector.observed() == UNKNOWN
    injector.undo()


def test_undoing_what_was_never_applied_touches_nothing(inject, proxy):
    proxy.stop()
    assert inject(latency="10s").undo() == ""


def test_what_somebody_else_lifted_is_known(inject, proxy):
    injector = inject(latency="10s")
    assert injector.lifted_by() == ""
    injector.apply()
    assert injector.lifted_by() == ""
    proxy.calls.reset()
    assert injector.lifted_by() == "somebody"
    assert injector.undo() == ""


def test_a_fault_stays_in_the_journal_until_its_undo_is_confirmed_and_told_of(inject, safety):
    injector = inject(latency="10s")
    before = len(safety.journal_path.read_bytes().splitlines())
    injector.apply()
    assert b"fault-1" in safety.journal_path.read_bytes().splitlines()[before]
    injector.undo()
    assert b"done" not in safety.journal_path.read_bytes().splitlines()[-1]
    injector.settle()
    assert safety.journal_path.read_bytes().splitlines()[-1] == b'{"done": %d}' % (before)


def test_a_link_that_the_proxy_does_not_know_is_an_error_with_its_name(safety, proxy):
    other = Fault.model_validate({"link": "a -> b", "latency": "1s"})
    injector = make(other, api=proxy.api, safety=safety)
    with pytest.raises(TargetError, match="cannot add toxic fault-1 to a -> b: no proxy is called 'a -> b'"):
        injector.apply()
    assert injector.undo() == ""


def test_a_proxy_that_is_gone_is_an_error_with_its_address(inject, proxy):
    proxy.stop()
    with pytest.raises(TargetError, match="cannot add toxic"):
        inject(latency="10s").apply()


def test_two_clients_at_two_addresses_do_not_mix(proxy):
    silent = ToxiproxyClient("127.0.0.1:1")
    there = ToxiproxyClient(proxy.api)
    with pytest.raises(TargetError, match=r"127\.0\.0\.1:1"):
        silent.is_enabled(LINK)
    assert there.is_enabled(LINK)


def test_a_proxy_of_the_environment_is_not_used(proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ToxiproxyClient(proxy.api).is_enabled(LINK)


def test_a_surge_is_none_of_ours(safety):
    surge = Fault.model_validate({"surge": {"tenant": "acme", "times": 20}})
    with pytest.raises(ValueError, match="part of the load"):
        make(surge, safety=safety)


def attributes(proxy):
    (toxic,) = proxy.calls._call("GET", f"/proxies/{LINK.replace(' ', '%20')}/toxics")
    return toxic["attributes"]


def test_a_ramp_grows_to_its_full_size_and_is_confirmed_on_the_way(inject, proxy):
    injector = inject(latency={"latency": "1s", "jitter": "100ms"}, ramp="4s")
    injector.apply()
    assert (attributes(proxy), injector.confirm()) == ({"latency": 0, "jitter": 0}, True)
    for age_s, latency in ((1, 250), (2, 500), (9, 1000)):
        injector.grow(age_s)
        assert (attributes(proxy)["latency"], injector.confirm()) == (latency, True)
    assert injector.undo() == ""


def test_a_bandwidth_shrinks_to_what_was_asked_for(inject, proxy):
    injector = inject(bandwidth=10, ramp="4s")
    injector.apply()
    assert attributes(proxy) == {"rate": 200}
    injector.grow(2)
    assert attributes(proxy) == {"rate": 20}
    injector.grow(4)
    assert attributes(proxy) == {"rate": 10}
    assert injector.undo() == ""


def test_a_toxic_that_cannot_grow_is_an_error(inject, proxy):
    injector = inject(latency="1s", ramp="4s")
    injector.apply()
    proxy.stop()
    with pytest.raises(HarnessError, match="the toxic cannot grow"):
        injector.grow(2)
