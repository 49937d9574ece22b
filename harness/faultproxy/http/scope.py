"""Which requests a rule touches: those that match every part that is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.faultproxy.http.framing import RequestHead

_ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """Parts that are None or empty match everything. `share` and `next` are counted by the rule."""

    tenant: str | None = None
    method: str | None = None
    route: str | None = None  # "*" stands for any part of the path
    header: Mapping[str, str] = field(default_factory=dict)  # "*" stands for any part of the value
    share: float | None = None
    next: int | None = None
    trace: str | None = None

    def matches(self, head: RequestHead, tenant: str | None) -> bool:
        """Tell whether a request, whose tenant is *tenant*, has everything that is asked for."""
        return (
            (self.tenant is None or self.tenant == tenant)
            and (self.method is None or self.method.upper() == head.method.decode("latin-1").upper())
            and (self.route is None or _fits(self.route, head.path))
            and (self.trace is None or self.trace == _trace_id(head.fields.get("traceparent", "")))
            and all(_fits(wanted, head.fields.get(name.lower())) for name, wanted in self.header.items())
        )


def _fits(pattern: str, text: str | None) -> bool:
    if text is None:
        return False
    return pattern == text if _ANY not in pattern else _fits_glob(pattern.split(_ANY), text)


def _fits_glob(parts: list[str], text: str) -> bool:
    """Look for the parts one after another: unlike a regular expression this cannot take for ever."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _trace_id(traceparent: str) -> str:
    parts = traceparent.split("-")
    return parts[1].lower() if len(parts) >= 4 else ""
