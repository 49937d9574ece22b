"""One attempt is one request: the HTTP library must not repeat anything below our retry policy, budget and breaker.

aiohttp sends GET, HEAD, PUT and DELETE once more when a connection drops (RFC 9112 allows it), and no span, metric or
budget sees it. It does so on two of its exceptions; a middleware that raises another one keeps it from that.
"""

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse


class ConnectionDroppedError(aiohttp.ClientError):
    """The connection ended before the answer came: whether the callee did its work is not known."""


async def never_repeat(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send *request* once; raise ConnectionDroppedError where aiohttp would send it again."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection, and aiohttp does not repeat either
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionDroppedError(str(error) or type(error).__name__) from error
