"""Requests straight at one service, past the entry: each on a connection of its own, with the identity it is told."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import gevent

from harness.load.answer import Answer
from harness.load.player import Door, Request

_CAUSES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((gevent.Timeout, TimeoutError), "timeout"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "connection refused"),
    ((ConnectionResetError, BrokenPipeError), "connection reset"),
    (http.client.RemoteDisconnected, "connection closed"),
    (http.client.HTTPException, "broken answer"),
)


@dataclass(frozen=True, slots=True)
class DirectDoors:
    """Where each service listens, and where identities lie; a request is sent once, on a new connection."""

    urls: Mapping[str, str]
    identities: str | None = None  # with {service} for whose it is

    def send(self, request: Request, door: Door) -> Answer:
        """Send *request* through *door* and wait for the whole answer, no longer than its timeout."""
        try:
            with gevent.Timeout(request.timeout_s):
                return self._exchange(request, door)
        except (gevent.Timeout, OSError, http.client.HTTPException, ValueError) as error:
            return Answer(error=_cause(error))

    def _exchange(self, request: Request, door: Door) -> Answer:
        connection = self._connect(door, request.timeout_s)
        try:
            connection.request(request.method, request.path, body=request.body, headers=dict(request.headers))
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.getheader("Retry-After") is not None)
        finally:
            connection.close()

    def _connect(self, door: Door, timeout_s: float) -> http.client.HTTPConnection:
        url = urlsplit(self.urls[door.service])
        assert url.hostname is not None
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout_s)
        connection.sock = socket.create_connection((url.hostname, url.port), timeout=timeout_s)
        if url.scheme == "https" and not door.is_plain:
            connection.sock = self._context(door).wrap_socket(connection.sock, server_hostname=door.service)
        return connection

    def _context(self, door: Door) -> ssl.SSLContext:
        """Trust what the service trusts, present whom the door names; made anew each time, as identities rotate."""
        context = ssl.create_default_context(cafile=str(self._folder(door.service) / "ca.pem"))
        if door.identity is not None:
            folder = self._folder(door.identity)
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context

    def _folder(self, service: str) -> Path:
        """Follow the link once: an identity renewed meanwhile must not mix its key with an older certificate."""
        return Path((self.identities or "").replace("{service}", service)).resolve()


def _cause(error: BaseException) -> str:
    return next((words for kind, words in _CAUSES if isinstance(error, kind)), type(error).__name__.lower())
