"""The monolith's own idea of an invoice, and of the world: a record of texts in German local time without summer."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from target_stack.kit.invoices import Invoice, usual_due

LOCAL = timezone(timedelta(hours=1))
_STATUS = {"10": "open", "20": "paid", "99": "cancelled"}
Record = dict[str, Any]


def mandant_of(tenant: str) -> str:
    """Return the code under which the monolith knows a tenant."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:6].upper()


def new_record(tenant: str, key: str, amount_cents: int, now_ns: int) -> Record:
    """Return a fresh record: what goes without saying is left out."""
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, LOCAL)
    return {
        "MANDANT": mandant_of(tenant),
        "EXTREF": key,
        "BETRAG": str(amount_cents),
        "WKZ": None,
        "STATUS": "10",
        "BELDAT": f"{now:%d.%m.%Y}",
        "ZEIT": f"{now:%H%M%S}",
        "FAELLIG": None,
    }


def shown(record: Record, tenant: str) -> Invoice:
    """Return a record as the monolith's web face shows it."""
    issued = datetime.strptime(record["BELDAT"] + record["ZEIT"], "%d.%m.%Y%H%M%S").replace(tzinfo=LOCAL)
    due = record["FAELLIG"]
    return Invoice(
        tenant=tenant,
        idempotency_key=record["EXTREF"],
        amount_cents=int(record["BETRAG"]),
        currency=record["WKZ"] or "EUR",
        status=_STATUS[record["STATUS"] or "10"],
        issued_s=int(issued.astimezone(UTC).timestamp()),
        due_on=datetime.strptime(due, "%d.%m.%Y").date().isoformat() if due else usual_due(issued.date()),
    )


def _renamed(record: Record) -> Record:
    return {("BETRAG_CT" if name == "BETRAG" else name): value for name, value in record.items()}


def _types(record: Record) -> Record:
    return {**record, "BETRAG": int(record["BETRAG"]) / 100, "LFDNR": str(record["LFDNR"])}


def _currency(record: Record) -> Record:
    return {**record, "BETRAG": str(int(record["BETRAG"]) * 2), "WKZ": "DEM"}


def _nulls(record: Record) -> Record:
    return {**record, "EXTREF": None, "BETRAG": None}


DRIFTS: dict[str, Callable[[Record], Record]] = {
    "renamed": _renamed,
    "types": _types,
    "currency": _currency,
    "nulls": _nulls,
}
"""What a careless release of the monolith does to the records that it hands out."""
