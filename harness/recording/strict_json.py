"""JSON as a recording holds it: UTF-8, nested sanely, no NaN, no endless number. Anything else is a ValueError."""

import json
import math
from typing import Any

_LONGEST_NUMBER = 400


def parse(raw: bytes) -> Any:
    """Return the document; ValueError says in a few words why it is none."""
    return parse_text(text_of(raw))


def text_of(raw: bytes) -> str:
    """Return *raw* as text; ValueError where it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"not UTF-8 at byte {error.start}"
        raise ValueError(msg) from None


def parse_text(text: str) -> Any:
    """Return the document; a plain JSONDecodeError where *text* is not JSON, else a ValueError in words."""
    try:
        return json.loads(text, parse_int=_integer, parse_float=_real, parse_constant=_constant)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        msg = f"a number of {len(digits)} digits"
        raise ValueError(msg)
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        msg = f"the number {digits[:40]} is too large"
        raise ValueError(msg)
    return value


def _constant(word: str) -> float:
    msg = f"{word} is not a JSON number"
    raise ValueError(msg)
