"""The config file: a JSON array of proxies as Toxiproxy reads it, complaints with file, line and column."""

import json
from collections.abc import Iterator
from pathlib import Path

from harness.faultproxy.api import parse_population
from harness.faultproxy.errors import ApiError
from harness.faultproxy.proxies import ProxyRequest

_BLANK = " \t\r\n"


class ConfigError(Exception):
    """The file cannot be used; the message says where and why."""


def read_config(path: Path) -> list[ProxyRequest]:
    """Return the proxies of the file, checked. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: {problem}") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> list[ProxyRequest]:
    """Return the proxies of *text*; *name* stands for the file in complaints. Raises ConfigError."""
    try:
        items = list(_items(text))
    except json.JSONDecodeError as problem:
        raise ConfigError(f"{name}:{problem.lineno}:{problem.colno}: {problem.msg}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    for start, item in items:
        _parsed([item], _place(text, start, name))
    return _parsed([item for _, item in items], name)


def _parsed(raw: list[object], where: str) -> list[ProxyRequest]:
    try:
        return parse_population(raw)
    except ApiError as problem:
        raise ConfigError(f"{where}: {problem.message.removesuffix(' at proxy 1')}") from None


def _items(text: str) -> Iterator[tuple[int, object]]:
    """Yield each item of the array with its position."""
    decoder = json.JSONDecoder()
    at = _expect(text, 0, "[")
    if text[_skip(text, at) :][:1] == "]":
        return
    while True:
        start = _skip(text, at)
        item, at = decoder.raw_decode(text, start)
        yield start, item
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return
        at = _expect(text, at, ",")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        wanted = "a JSON array of proxies" if sign == "[" else f"Expecting {sign!r} delimiter"
        raise json.JSONDecodeError(wanted, text, at)
    return at + 1


def _place(text: str, position: int, name: str) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{name}:{line}:{position - text.rfind(chr(10), 0, position)}"
