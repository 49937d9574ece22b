"""host:port texts, as Go writes them, and the sockets behind them."""

import asyncio
import contextlib
import errno
import functools
import os
import socket
from dataclasses import dataclass
from typing import Any

from harness.faultproxy.errors import ApiError, cannot_listen

_BACKLOG = 4096


class AddressError(ValueError):
    """The text is no host:port."""


def split_address(text: str) -> tuple[str, str]:
    """Split "host:port", "[v6]:port" or ":port"; raise AddressError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon:
        msg = f"address {text}: missing port in address"
        raise AddressError(msg)
    if port.isdigit() and int(port) > 65535:  # getaddrinfo would wrap it around
        msg = f"address {text}: invalid port"
        raise AddressError(msg)
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    if ":" in host:
        msg = f"address {text}: too many colons in address"
        raise AddressError(msg)
    return host, port


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket address with its family."""

    family: socket.AddressFamily
    address: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.address[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


@functools.lru_cache(maxsize=1024)  # asked for every connection
def numeric_endpoint(text: str) -> Endpoint | None:
    """Return the endpoint when *text* holds a numeric host and port; None when a name has to be looked up."""
    host, port = split_address(text)
    if not host:
        return None
    with contextlib.suppress(OSError, UnicodeError, OverflowError):
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        return Endpoint(found[0][0], found[0][4])
    return None


async def look_up(text: str) -> list[Endpoint]:
    """Resolve *text*, IPv4 first as Go does, without blocking the loop. Raises OSError or AddressError."""
    if numeric := numeric_endpoint(text):
        return [numeric]
    host, port = split_address(text)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host or "localhost", port or "0", type=socket.SOCK_STREAM)
    except (UnicodeError, OverflowError) as problem:
        raise OSError(str(problem)) from None
    endpoints = [Endpoint(family, address) for family, _, _, _, address in found]
    return sorted(endpoints, key=lambda endpoint: endpoint.family != socket.AF_INET)


async def listen_endpoint(text: str) -> Endpoint:
    """Return where to listen for *text*; no host means all interfaces, no port a free one. Raises ApiError (500)."""
    try:
        host, port = split_address(text) if text else ("", "0")
        if host:
            return (await look_up(text))[0]
        return Endpoint(socket.AF_INET6, ("::", int(port or "0")))
    except (AddressError, ValueError) as problem:
        raise cannot_listen(text, str(problem)) from None
    except OSError as problem:
        raise cannot_listen(text, f"lookup: {_cause(problem)}") from None


def open_listener(endpoint: Endpoint) -> socket.socket:
    """Return a non-blocking listening socket; accepted sockets inherit TCP_NODELAY. Raises ApiError (500)."""
    try:
        return _bound(endpoint)
    except OSError as problem:
        if endpoint.address[0] == "::" and problem.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return open_listener(Endpoint(socket.AF_INET, ("0.0.0.0", endpoint.address[1])))
        raise cannot_listen(str(endpoint), f"bind: {_cause(problem)}") from problem
    except OverflowError as problem:
        raise cannot_listen(str(endpoint), f"invalid port: {problem}") from None


def _bound(endpoint: Endpoint) -> socket.socket:
    listener = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(endpoint.address[0] != "::"))
        listener.setblocking(False)
        listener.bind(endpoint.address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def bound_endpoint(listener: socket.socket) -> Endpoint:
    """Return where *listener* really listens, its free port chosen."""
    return Endpoint(listener.family, listener.getsockname())


def is_address_in_use(problem: ApiError) -> bool:
    """Tell whether opening a listener failed because somebody else listens there."""
    return isinstance(problem.__cause__, OSError) and problem.__cause__.errno == errno.EADDRINUSE


def _cause(problem: OSError) -> str:
    known = isinstance(problem.errno, int) and problem.errno > 0
    return (os.strerror(problem.errno) if known else str(problem.strerror or problem)).lower()  # type: ignore[arg-type]
