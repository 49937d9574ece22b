"""Waiting until a process can serve: it says so itself, or it ends, or the time is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg

from harness.drivers.ports import is_taken
from harness.drivers.process import Running, exit_words
from harness.model.errors import TargetError

READY_LIMIT_S = 30.0
_POLL_S = 0.05
_ASK_LIMIT_S = 2.0
_TAKEN_WORDS = ("address already in use", "address in use", "eaddrinuse", "errno 98")

Ask = Callable[[], Awaitable[str]]
"""Answers "" when ready, else in a few words why not yet."""


class PortTakenError(Exception):
    """Somebody else was faster: the service needs another port."""


async def until_ready(running: Running, ask: Ask, *, port: int, host: str, limit_s: float = READY_LIMIT_S) -> None:
    """Return once *ask* says that *running* serves.

    Raises:
        PortTakenError: it ended because its port is somebody else's.
        TargetError: it ended, or is not ready within *limit_s*; the message has its last words.
    """
    give_up = time.monotonic() + limit_s
    answer = "it was not asked"
    while time.monotonic() < give_up:
        if running.ended.is_set():
            raise _ended(running, host, port)
        answer = await _unless_ended(running, ask)
        if not answer and not running.ended.is_set():
            running.is_starting = False
            return
        await asyncio.sleep(_POLL_S)
    msg = f"{running.launch.name} is not ready after {limit_s:g}s: {answer}"
    raise TargetError(_with_last_words(msg, running), hint=f"its log is {running.launch.log}")


async def _unless_ended(running: Running, ask: Ask) -> str:
    """Ask; do not wait for an answer at an address where *running* is no more and perhaps somebody else is."""
    asking, ending = asyncio.ensure_future(ask()), asyncio.create_task(running.ended.wait())
    try:
        await asyncio.wait([asking, ending], return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else "it ended"
    finally:
        asking.cancel()
        ending.cancel()


def crash_of(running: Running) -> TargetError:
    """Return the error for a process that ended though nobody asked it to."""
    msg = f"{running.launch.name} {exit_words(running.code)} during the run"
    return TargetError(_with_last_words(msg, running), hint=f"its log is {running.launch.log}")


def _ended(running: Running, host: str, port: int) -> Exception:
    last = "\n".join(running.tail()).lower()
    if any(words in last for words in _TAKEN_WORDS) or is_taken(host, port):
        return PortTakenError(f"{running.launch.name}: port {port} is taken")
    msg = f"{running.launch.name} {exit_words(running.code)} before it was ready"
    return TargetError(_with_last_words(msg, running), hint=f"its log is {running.launch.log}")


def _with_last_words(message: str, running: Running) -> str:
    last = running.tail()
    return "\n  ".join([f"{message}; its last words:", *last]) if last else f"{message}; it said nothing"


def ask_http(client: aiohttp.ClientSession, url: str) -> Ask:
    """Ask a service by its readiness path: 200 means ready."""

    async def ask() -> str:
        try:
            async with client.get(url, timeout=aiohttp.ClientTimeout(total=_ASK_LIMIT_S)) as answer:
                return "" if answer.status == 200 else f"{url} answers {answer.status}: {(await answer.text())[:200]}"
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError) as problem:
            return f"{url}: {str(problem) or type(problem).__name__}"

    return ask


def ask_tcp(host: str, port: int) -> Ask:
    """Ask by connecting, and nothing more."""

    async def ask() -> str:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _ASK_LIMIT_S)
        except (OSError, TimeoutError) as problem:
            return str(problem) or type(problem).__name__
        writer.close()
        return ""

    return ask


def ask_database(attempt: Callable[[], Awaitable[bool]]) -> Ask:
    """Ask a database by a real connection."""

    async def ask() -> str:
        try:
            return "" if await attempt() else "it answers nonsense"
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            return str(problem) or type(problem).__name__

    return ask
