"""A feature flag that has another value for a while."""

import http.client
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.faults.safety.acts import FaultAct
from harness.faults.safety.ours import url_problem

CALL_LIMIT_S = 0.7
_SHORTEST_S = 0.2


class FlagCallError(Exception):
    """The service that holds the flags did not do as it was asked."""


class FlagSourceGoneError(Exception):
    """Nobody listens there: a flag that is gone has no wrong value."""


@dataclass(frozen=True, slots=True)
class FlagSet(FaultAct):
    """A flag that was flipped, and the requests that read it and put it back; values are JSON."""

    what: ClassVar[str] = "flag"
    flag: str
    read_url: str
    value_at: str
    flipped: str
    before: str
    write_method: str
    write_url: str
    write_headers: str
    write_back: str

    @property
    def place(self) -> str:
        """The flag."""
        return f"flag {self.flag}"

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the addresses, and whether the values can be read back."""
        try:
            headers = json.loads(self.write_headers)
            json.loads(self.before), json.loads(self.flipped), json.loads(self.write_back)
        except (ValueError, RecursionError):
            return f"the values of flag {self.flag} are not JSON"
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            return f"the headers for flag {self.flag} are not text"
        return url_problem(self.read_url, "http") or url_problem(self.write_url, "http")

    def heal(self, deadline_s: float) -> str:
        """Put the old value back and read it."""
        headers = json.loads(self.write_headers)
        try:
            call(self.write_method, self.write_url, self.write_back, headers, deadline_s=deadline_s)
            held = read_flag(self.read_url, self.value_at, deadline_s=deadline_s)
        except FlagSourceGoneError:
            return ""
        except FlagCallError as problem:
            return str(problem)
        return "" if held == json.loads(self.before) else f"flag {self.flag} is {held!r}, it was {self.before}"

    def is_there(self) -> bool | None:
        """Read the flag."""
        try:
            return bool(read_flag(self.read_url, self.value_at) == json.loads(self.flipped))
        except (FlagCallError, FlagSourceGoneError):
            return None


def read_flag(url: str, value_at: str, *, deadline_s: float | None = None) -> Any:
    """Return the value that the answer at *url* holds at "a.b"; None where there is none.

    Raises:
        FlagCallError, FlagSourceGoneError: it cannot be read.
    """
    document = call("GET", url, None, {}, deadline_s=deadline_s)
    for part in value_at.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def call(method: str, url: str, body: str | None, headers: dict[str, str], *, deadline_s: float | None = None) -> Any:
    """Send one request and return the answer's JSON; None of an empty one."""
    left_s = CALL_LIMIT_S if deadline_s is None else max(_SHORTEST_S, min(CALL_LIMIT_S, deadline_s - time.monotonic()))
    address, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(address, timeout=left_s)
    try:
        connection.request(method, f"/{path}", body=body, headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status < http.client.BAD_REQUEST:
            return json.loads(content) if content else None
        msg = f"{method} {url}: {answer.status} {content[:200].decode(errors='replace')}"
    except ConnectionRefusedError:
        raise FlagSourceGoneError(url) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        msg = f"{method} {url}: {problem or type(problem).__name__}"
    finally:
        connection.close()
    raise FlagCallError(msg)
