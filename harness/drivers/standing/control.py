"""The socket at which whoever holds a stack takes the wishes of a run: let a service die, bring it back.

One JSON line asks, {"wish": "revive", "service": "orders"}, one answers, {"cause": ""}. Only the user who holds the
stack can reach it: it lies in a folder of that user alone.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

_ANSWER_LIMIT_S = 15.0  # a revival takes twelve
_LONGEST_LINE = 64 * 1024


class Wish(Enum):
    """What can be asked for."""

    EXPECT_DEATH = "expect_death"
    REVIVE = "revive"


Grant = Callable[[str], str]
"""Grants a wish for a service, in a thread; returns why that is impossible, or ""."""


class Control:
    """Takes wishes at *path* until it is stopped."""

    def __init__(self, path: Path, grants: Mapping[Wish, Grant]) -> None:
        self._path = path
        self._grants = grants
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LONGEST_LINE)

    async def stop(self) -> None:
        """Listen no more. Safe to call twice, and without `start`."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            cause = await self._grant(await reader.readline())
            writer.write(json.dumps({"cause": cause}).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            return  # whoever asked has left, or wrote a line without end
        finally:
            writer.close()

    async def _grant(self, line: bytes) -> str:
        try:
            asked = json.loads(line)
            wish, service = Wish(asked["wish"]), str(asked["service"])
        except (ValueError, KeyError, TypeError):
            return f"not a wish: {line[:80]!r}"
        try:
            return await asyncio.to_thread(self._grants[wish], service)
        except KeyError:
            return f"no service {service!r} runs here"


def ask(path: str, wish: Wish, service: str) -> str:
    """Ask whoever holds the stack; return why it cannot be done, or "". For threads: it may take seconds."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_LIMIT_S)
            connection.connect(path)
            connection.sendall(json.dumps({"wish": wish.value, "service": service}).encode() + b"\n")
            return str(json.loads(connection.makefile("rb").readline(_LONGEST_LINE))["cause"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return f"the holder of the stack does not answer: {str(problem) or type(problem).__name__}"
