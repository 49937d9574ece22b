"""What may happen while a host name is being looked up."""

import asyncio
import socket

import pytest

from harness.faultproxy import proxies as proxies_module
from harness.faultproxy.clock import LoopClock
from harness.faultproxy.errors import ApiError
from harness.faultproxy.fields import Fields
from harness.faultproxy.pipe import Scratch
from harness.faultproxy.proxies import Proxies, parse_proxy_request
from harness.faultproxy.proxy import Plant
from harness.faultproxy.readiness import ProxyLoop


def with_proxies(scenario):
    async def run():
        loop = asyncio.get_running_loop()
        proxies = Proxies(Plant(loop, loop.readiness, LoopClock(loop), 1, Scratch()))
        try:
            return await scenario(proxies)
        finally:
            proxies.close()

    with asyncio.Runner(loop_factory=ProxyLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("slow", ["update", "heal"])
def test_a_proxy_deleted_during_a_lookup_opens_no_port(slow, monkeypatch, free_port):
    looked_up = proxies_module.listen_endpoint
    request = {"name": "a", "listen": f"127.0.0.1:{free_port}", "upstream": "localhost:1", "enabled": False}

    async def scenario(proxies):
        await proxies.create(parse_proxy_request(request))

        async def delete_meanwhile(text):
            proxies.remove("a")
            return await looked_up(text)

        monkeypatch.setattr(proxies_module, "listen_endpoint", delete_meanwhile)
        if slow == "heal":
            assert await proxies.heal() == []
        else:
            with pytest.raises(ApiError, match="proxy not found"):
                await proxies.update("a", Fields({"enabled": True}))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port), 20)

    with_proxies(scenario)


def test_two_creations_of_one_name_make_one_proxy(free_port):
    requests = [
        parse_proxy_request({"name": "a", "listen": "localhost:0", "upstream": f"localhost:{port}"}) for port in (1, 2)
    ]

    async def scenario(proxies):
        outcomes = await asyncio.gather(*(proxies.create(request) for request in requests), return_exceptions=True)
        return [getattr(outcome, "status", "created") for outcome in outcomes], len(proxies.sorted())

    assert sorted(map(str, with_proxies(scenario)[0])) == ["409", "created"]
