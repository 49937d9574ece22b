"""One attempt is one request, whatever the library would do by itself."""

import asyncio

import aiohttp
import pytest

from target_stack.kit.one_attempt import ConnectionDroppedError
from target_stack.kit.toolbox import open_session

METHODS = ("GET", "HEAD", "PUT", "DELETE", "POST")


async def requests_seen(method: str, *, repeats: bool) -> int:
    """Send one request to a server that reads it, does its work and hangs up; return how often it worked."""
    seen = 0

    async def work_and_hang_up(reader, writer):
        nonlocal seen
        await reader.readuntil(b"\r\n\r\n")
        seen += 1
        writer.transport.abort()

    async with await asyncio.start_server(work_and_hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_session(repeats=repeats) as session:
            with pytest.raises(aiohttp.ClientError) as failure:
                await session.request(method, f"http://127.0.0.1:{port}/")
    if not repeats:
        assert isinstance(failure.value, ConnectionDroppedError)
    return seen


@pytest.mark.parametrize("method", METHODS)
def test_a_request_whose_reply_is_lost_is_sent_once(method):
    assert asyncio.run(requests_seen(method, repeats=False)) == 1


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("DELETE", 2), ("POST", 1)])
def test_without_that_care_the_library_sends_it_again(method, times):
    assert asyncio.run(requests_seen(method, repeats=True)) == times


def test_a_refused_connection_stays_what_it_is():
    async def story():
        async with open_session() as session:
            await session.get("http://127.0.0.1:1/")

    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(story())
