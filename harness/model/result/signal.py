"""The kinds of record that findings rest on."""

from enum import Enum


class Signal(Enum):
    """One kind of record that checks rest on."""

    REQUESTS = "requests"
    SPANS = "spans"
    EVENTS = "events"
    METRICS = "metrics"
    LEDGER = "ledger"
    LOGS = "logs"
