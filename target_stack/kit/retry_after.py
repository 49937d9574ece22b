"""`Retry-After` as HTTP allows it: whole seconds or a date; fractions too, since proxies and services send them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def pause_asked_s(headers: Mapping[str, str], received_unix_s: float) -> float:
    """Return the pause that an answer asks for, 0.0 when it asks for none or for one that makes no sense.

    A date counts from the answer's own `Date`, so that clocks that disagree do no harm; else from when it was received.
    """
    raw = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(raw):
        return float(raw)
    until_s = _unix_s(raw)
    if until_s is None:
        return 0.0
    sent_s = _unix_s(headers.get("Date", ""))
    return max(0.0, until_s - (received_unix_s if sent_s is None else sent_s))


def _unix_s(raw: str) -> float | None:
    try:
        moment: datetime = parsedate_to_datetime(raw)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
