"""A JSON object of the API, read the way Toxiproxy reads it: names in any case, null means absent, extras ignored."""

import json
from collections.abc import Mapping
from typing import TypeVar

from harness.faultproxy.errors import bad_request_body

T = TypeVar("T")


class Fields:
    """Typed access to one JSON object; every wrong type raises ApiError (400)."""

    def __init__(self, raw: object) -> None:
        if raw is None:
            raw = {}
        if not isinstance(raw, Mapping):
            raise bad_request_body(f"expected a JSON object, not {_kind(raw)}")
        self._values = {str(name).lower(): value for name, value in raw.items() if value is not None}

    def text(self, name: str, *, default: str = "") -> str:
        """Return a string."""
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise bad_request_body(f"field {name} must be a string, not {_kind(value)}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise bad_request_body(f"field {name} must be true or false, not {_kind(value)}")
        return value

    def number(self, name: str, *, default: float) -> float:
        """Return a number."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_request_body(f"field {name} must be a number, not {_kind(value)}")
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object, empty when absent."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            raise bad_request_body(f"field {name} must be an object, not {_kind(value)}")
        return value

    def array(self, name: str) -> list[object]:
        """Return an array, empty when absent."""
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise bad_request_body(f"field {name} must be an array, not {_kind(value)}")
        return value


def parse_json(body: bytes) -> object:
    """Return the first JSON value of *body*, ignoring what follows, as Go's decoder does. Raises ApiError (400)."""
    try:
        text = body.decode().lstrip()
        if not text:
            raise bad_request_body("EOF")
        value: object = json.JSONDecoder(parse_constant=_reject_constant).raw_decode(text)[0]
    except (ValueError, RecursionError) as problem:
        raise bad_request_body(str(problem)) from None
    return value


def _reject_constant(name: str) -> float:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _kind(value: object) -> str:
    names = {
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")
