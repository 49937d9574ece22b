"""Free ports for programs that must be told theirs."""

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

_LOWEST = 12_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_EPHEMERAL_START = 32_768


def free_ports(host: str, names: Iterator[str] | list[str]) -> dict[str, int]:
    """Choose a port for each name, free now, below those that the system gives to outgoing connections.

    Somebody else may take one before its owner binds it; the owner then dies with "address in use", and asks again.
    """
    with contextlib.ExitStack() as held:
        return {name: held.enter_context(_held_port(host)).getsockname()[1] for name in names}


def is_taken(host: str, port: int) -> bool:
    """Say whether somebody listens at *port*."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _held_port(host: str) -> socket.socket:
    candidates = range(_LOWEST, _ephemeral_start())
    for port in random.sample(candidates, min(len(candidates), 200)):
        with contextlib.suppress(OSError):
            return _bound(host, port)
    return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    held = socket.socket()
    try:
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_EPHEMERAL_START
