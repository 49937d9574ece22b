"""The anti-corruption layer: the one place that knows how the monolith sees an invoice.

Every record either becomes an invoice of ours, whole, or is quarantined with the reason; nothing in between gets in.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from target_stack.kit.invoices import MAX_AMOUNT_CENTS, Invoice, usual_due

LEGACY_TIME = timezone(timedelta(hours=1))
"""The monolith never heard of summer time."""

_STATUS_OF = {"10": "open", "20": "paid", "99": "cancelled", None: "open"}
_CODE_OF = {"open": "10", "paid": "20", "cancelled": "99"}
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_CENTS = re.compile(r"[0-9]{1,13}")
_FIELDS = frozenset({"LFDNR", "MANDANT", "EXTREF", "BETRAG", "WKZ", "STATUS", "BELDAT", "ZEIT", "FAELLIG"})


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that must not get in, and why."""

    name: str
    reason: str
    record: Any


class _OddError(Exception):
    pass


def mandant_of(tenant: str) -> str:
    """Return the monolith's code for a tenant."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:6].upper()


def translate(record: Any, tenant: str) -> Invoice | Quarantined:
    """Return what *record* means, or why it means nothing."""
    try:
        return _translated(record, tenant)
    except _OddError as odd:
        return Quarantined(_name(record), str(odd), record)


def to_legacy(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as the monolith wants it: what goes without saying is left out there."""
    issued = datetime.fromtimestamp(invoice.issued_s, LEGACY_TIME)
    due = date.fromisoformat(invoice.due_on)
    return {
        "MANDANT": mandant_of(invoice.tenant),
        "EXTREF": invoice.idempotency_key,
        "BETRAG": str(invoice.amount_cents),
        "WKZ": None if invoice.currency == "EUR" else invoice.currency,
        "STATUS": _CODE_OF[invoice.status],
        "BELDAT": f"{issued:%d.%m.%Y}",
        "ZEIT": f"{issued:%H%M%S}",
        "FAELLIG": None if invoice.due_on == usual_due(issued.date()) else f"{due:%d.%m.%Y}",
    }


def believe(record: Any, tenant: str) -> Invoice:
    """Take a record as it comes: what billing would do without this layer, kept for its proof."""
    given = record if isinstance(record, dict) else {}
    return Invoice(
        tenant,
        str(given.get("EXTREF") or f"#{given.get('LFDNR')}"),
        int(float(given.get("BETRAG") or 0)),
        given.get("WKZ") or "EUR",
        _STATUS_OF.get(given.get("STATUS"), "open"),
        _issued_s(given),
        _due_on(given, _issued_s(given)),
    )


def _translated(record: Any, tenant: str) -> Invoice:
    if not isinstance(record, dict):
        raise _OddError("not a record")
    if frozenset(record) != _FIELDS:
        raise _OddError(f"fields: {', '.join(sorted(map(str, frozenset(record) ^ _FIELDS)))}")
    if record["MANDANT"] != mandant_of(tenant):
        raise _OddError("another tenant's record")
    if type(record["LFDNR"]) is not int:
        raise _OddError("LFDNR is no number")
    issued_s = _issued_s(record)
    return Invoice(
        tenant, _key(record), _cents(record), _currency(record), _status(record), issued_s, _due_on(record, issued_s)
    )


def _key(record: dict[str, Any]) -> str:
    key = record["EXTREF"]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise _OddError("EXTREF is no key")
    return key


def _cents(record: dict[str, Any]) -> int:
    raw = record["BETRAG"]
    if not isinstance(raw, str) or not _CENTS.fullmatch(raw) or not 1 <= int(raw) <= MAX_AMOUNT_CENTS:
        raise _OddError("BETRAG is no amount of cents")
    return int(raw)


def _currency(record: dict[str, Any]) -> str:
    if record["WKZ"] not in (None, "", "EUR"):
        raise _OddError("WKZ is a currency that nobody here invoices in")
    return "EUR"


def _status(record: dict[str, Any]) -> str:
    raw = record["STATUS"]
    if not isinstance(raw, str | None) or raw not in _STATUS_OF:
        raise _OddError("STATUS is an unknown code")
    return _STATUS_OF[raw]


def _issued_s(record: dict[str, Any]) -> int:
    return int(_moment(record, "BELDAT", "ZEIT").replace(tzinfo=LEGACY_TIME).astimezone(UTC).timestamp())


def _due_on(record: dict[str, Any], issued_s: int) -> str:
    issued = datetime.fromtimestamp(issued_s, LEGACY_TIME).date()
    if record.get("FAELLIG") in (None, ""):
        return usual_due(issued)
    due = _moment(record, "FAELLIG").date()
    if due < issued:
        raise _OddError("FAELLIG is before BELDAT")
    return due.isoformat()


_SHAPES = {"BELDAT": r"\d{2}\.\d{2}\.\d{4}", "FAELLIG": r"\d{2}\.\d{2}\.\d{4}", "ZEIT": r"\d{6}"}


def _moment(record: dict[str, Any], day: str, time: str | None = None) -> datetime:
    for name in (day, *([time] if time else [])):
        raw = record.get(name)
        if not isinstance(raw, str) or not re.fullmatch(_SHAPES[name], raw, re.ASCII):
            raise _OddError(f"{name} is no date or time")
    text, form = (record[day] + record[time], "%d.%m.%Y%H%M%S") if time else (record[day], "%d.%m.%Y")
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        raise _OddError(f"{day} is no date or time") from None
    if not 1990 <= moment.year <= 2100:
        raise _OddError(f"{day} is in another age")
    return moment


def _name(record: Any) -> str:
    """Return what tells quarantined records apart."""
    number = record.get("LFDNR") if isinstance(record, dict) else None
    return f"#{number}" if isinstance(number, int | str) else hashlib.sha256(repr(record).encode()).hexdigest()[:16]
