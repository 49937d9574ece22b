"""toxiproxy-python drives the proxy unchanged."""

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


@pytest.fixture
def toxiproxy(api, monkeypatch):
    host, _, port = api.address.rpartition(":")
    monkeypatch.setattr(APIConsumer, "host", host)
    monkeypatch.setattr(APIConsumer, "port", int(port))
    return Toxiproxy()


def test_it_finds_the_server(toxiproxy):
    assert toxiproxy.running()
    assert b"version" in toxiproxy.version()


def test_create_show_destroy(toxiproxy, api):
    proxy = toxiproxy.create(upstream="localhost:3306", name="test_mysql_master")
    assert (proxy.name, proxy.upstream, proxy.enabled) == ("test_mysql_master", "localhost:3306", True)
    assert toxiproxy.get_proxy("test_mysql_master").listen == proxy.listen
    assert toxiproxy.destroy(proxy)
    assert (toxiproxy.proxies(), api.get("/proxies").json) == ({}, {})


def test_populate_and_destroy_all(toxiproxy):
    wanted = [{"name": f"p{n}", "upstream": "localhost:3306", "listen": "127.0.0.1:0"} for n in range(3)]
    assert [proxy.name for proxy in toxiproxy.populate(wanted)] == ["p0", "p1", "p2"]
    assert sorted(toxiproxy.proxies()) == ["p0", "p1", "p2"]
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}


def test_toxics_come_and_go(toxiproxy, link, api):
    proxy = toxiproxy.get_proxy("link")
    proxy.add_toxic(type="latency", attributes={"latency": 123})
    proxy.add_toxic(name="cut", type="limit_data", stream="upstream", toxicity=0.5, attributes={"bytes": 9})
    toxic = proxy.get_toxic("latency_downstream")
    assert (toxic.type, toxic.stream, toxic.toxicity, toxic.attributes) == (
        "latency", "downstream", 1, {"latency": 123, "jitter": 0}
    )  # fmt: skip
    APIConsumer.post("/proxies/link/toxics/cut", json={"attributes": {"bytes": 5}})
    assert proxy.get_toxic("cut").attributes == {"bytes": 5}
    assert proxy.destroy_toxic("cut")
    assert list(proxy.toxics()) == ["latency_downstream"]
    assert toxiproxy.reset()
    assert proxy.toxics() == {}


def test_down_refuses_only_within_its_block(toxiproxy, link):
    proxy = toxiproxy.get_proxy("link")
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        link.dial()
    link.open()


def test_errors_become_the_librarys_exceptions(toxiproxy, link):
    proxy = toxiproxy.get_proxy("link")
    with pytest.raises(ProxyExists):
        toxiproxy.create(upstream="localhost:1", name="link")
    with pytest.raises(NotFound):
        proxy.destroy_toxic("none")
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="none")
