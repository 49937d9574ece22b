"""One HTTP session of Locust's, made honest for measuring: one request is one request, and a timeout counts as a whole.

geventhttpclient repeats GETs on connections that close, up to the size of its pool; here a request is sent once.
Locust counts an answer whose body broke off as one with an empty body; here it is no answer.
"""

import socket
import ssl
from typing import Any

import gevent
from geventhttpclient.client import HTTPClient, HTTPClientPool
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ErrorResponse, FastHttpSession, FastResponse, LocustUserAgent
from locust.env import Environment

from harness.load.answer import Answer
from harness.load.player import Request


class OneTryPool(HTTPClientPool):
    """The connections of one tenant, kept alive and shared by its users."""

    def __init__(self, *, connections: int, timeout_s: float) -> None:
        # each socket operation may take as long as the slowest flow; the time of a whole request is limited in `send`
        super().__init__(concurrency=connections, connection_timeout=timeout_s, network_timeout=timeout_s)

    def get_client(self, url: Any) -> HTTPClient:
        """Return the client of a host, which never repeats a request by itself."""
        client = super().get_client(url)
        client._connection_pool.size = -1  # it allows itself size + 1 repeats
        return client


class EveryStatusAgent(LocustUserAgent):
    """Takes every status for an answer: what it means is ours to say."""

    valid_response_codes = frozenset(range(100, 1000))


class OneTrySession(FastHttpSession):
    """A session that returns whatever was answered, with its body, or the error."""

    def __init__(self, base_url: str, environment: Environment, pool: OneTryPool) -> None:
        super().__init__(base_url=base_url, request_event=environment.events.request, user=None)
        self.client = EveryStatusAgent(client_pool=pool, cookiejar=self.cookiejar, max_redirects=0, max_retries=0)

    def send(self, request: Request) -> Answer:
        """Send *request* once and wait for the whole answer, no longer than its timeout."""
        body: Any = request.body  # Locust declares text, and sends bytes as they are
        try:
            with gevent.Timeout(request.timeout_s):
                response: Any = self.request(request.method, request.path, data=body, headers=dict(request.headers))
        except gevent.Timeout:
            return Answer(error="timeout")
        except ValueError as error:  # a header or an encoding that HTTP does not know
            return Answer(error=str(error)[:80].lower())
        if response.status_code == 0:
            return Answer(error=_cause(response.error))
        return Answer(response.status_code, response.content or b"", "retry-after" in response.headers)

    def _send_request_safe_mode(self, method: str, url: str, **kwargs: Any) -> FastResponse:
        response: Any = super()._send_request_safe_mode(method, url, **kwargs)
        try:
            _ = response.content  # read it here: only a whole answer is one
        except FAILURE_EXCEPTIONS as error:
            response = ErrorResponse(response.request, error)
        whole: FastResponse = response
        return whole


def _cause(error: BaseException | None) -> str:
    """Say in a few lower-case words why there is no answer."""
    error = getattr(error, "original", None) or error
    for kind, words in _CAUSES:
        if isinstance(error, kind):
            return words
    return type(error).__name__.lower()


_CAUSES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((gevent.Timeout, TimeoutError), "timeout"),
    (ConnectionRefusedError, "connection refused"),
    ((ConnectionResetError, BrokenPipeError), "connection reset"),
    (HTTPConnectionClosed, "connection closed"),
    (HTTPParseError, "broken answer"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "name not resolved"),
)
