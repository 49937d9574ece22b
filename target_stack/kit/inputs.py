"""Checks of what clients send, each with an answer that says what to mend; nothing malformed reaches a database."""

import re
from typing import Any

from aiohttp import web

from target_stack.kit.errors import ApiError, bad_request

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_MAX_BIGINT = 2**63 - 1
_INTEGER = re.compile(r"-?[0-9]{1,19}")


def is_sku(value: Any) -> bool:
    """Tell whether *value* can be a stock keeping unit."""
    return isinstance(value, str) and _SKU.fullmatch(value) is not None


def is_count(value: Any, highest: int) -> bool:
    """Tell whether *value* is an integer from 1 to *highest* (JSON's true is none)."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= highest


def int_parameter(request: web.Request, name: str, *, default: int, lowest: int, highest: int) -> int:
    """Return an integer of the query string; raise the 400 when it is none or out of range."""
    raw = request.query.get(name, "")
    if raw == "":
        return default
    if not _INTEGER.fullmatch(raw) or not lowest <= int(raw) <= highest:
        raise bad_request(f"{name} must be an integer from {lowest} to {highest}")
    return int(raw)


def text_parameter(request: web.Request, name: str) -> str:
    """Return a text of the query string, "" when absent; raise the 400 for one that no database takes."""
    raw = request.query.get(name, "")
    if len(raw) > 200 or not raw.isprintable():
        raise bad_request(f"{name} must be a printable text of at most 200 characters")
    return raw


def cursor_parameter(request: web.Request, name: str) -> tuple[int, str]:
    """Return moment and key of the last row of the page before, or what comes before all rows; raise the 400."""
    raw = text_parameter(request, name)
    if raw == "":
        return -1, ""
    moment_ns, dot, key = raw.partition(".")
    if not (dot and moment_ns.isascii() and moment_ns.isdigit() and int(moment_ns) <= _MAX_BIGINT):
        raise bad_request(f"{name} must be the `next` of an earlier answer")
    return int(moment_ns), key


def idempotency_key(request: web.Request) -> str:
    """Return the key that makes a repeated request harmless; raise the 400 when it is missing or malformed."""
    key = request.headers.get(IDEMPOTENCY_KEY_HEADER, "")
    if not _KEY.fullmatch(key):
        raise ApiError(400, "idempotency_key_missing", "send an Idempotency-Key of 1 to 200 visible ASCII characters")
    return key
