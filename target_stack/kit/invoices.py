"""What gateway, billing and the monolith's own web face agree on: an invoice as clients see it."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from target_stack.kit.errors import bad_request
from target_stack.kit.inputs import is_count

INVOICES_PATH = "/billing/invoices"
MAX_PAGE = 500
MAX_AMOUNT_CENTS = 10**12
DAYS_TO_PAY = 14


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice; the key that made it names it. `issued_s` are whole UTC seconds since the epoch."""

    tenant: str
    idempotency_key: str
    amount_cents: int
    currency: str
    status: str
    issued_s: int
    due_on: str

    def as_json(self) -> dict[str, Any]:
        """Return it as clients see it."""
        shown = asdict(self)
        shown["issued_at"] = f"{datetime.fromtimestamp(shown.pop('issued_s'), UTC):%Y-%m-%dT%H:%M:%SZ}"
        return shown


@dataclass(frozen=True, slots=True)
class Page:
    """Which invoices a client asks for: issued since, and after the last of the page before."""

    since_s: int
    after: tuple[int, str]
    limit: int


def usual_due(issued_on: date) -> str:
    """Return the day on which an invoice is due where nobody says otherwise."""
    return (issued_on + timedelta(days=DAYS_TO_PAY)).isoformat()


def parse_amount(body: Any) -> tuple[int, str]:
    """Return cents and currency of a wanted invoice; raise the 400."""
    if not isinstance(body, dict) or not is_count(body.get("amount_cents"), MAX_AMOUNT_CENTS):
        raise bad_request("amount_cents must be a positive integer")
    if body.get("currency") != "EUR":
        raise bad_request("currency must be EUR")
    return body["amount_cents"], body["currency"]


def parse_cursor(raw: str) -> tuple[int, str]:
    """Return where a page begins; raise the 400 for what no answer ever gave."""
    if raw == "":
        return -1, ""
    issued_s, dot, key = raw.partition(".")
    if not (dot and issued_s.isascii() and issued_s.isdigit() and len(issued_s) <= 12):
        raise bad_request("after must be the `next` of an earlier answer")
    return int(issued_s), key


def page_json(tenant: str, invoices: list[Invoice], limit: int) -> dict[str, Any]:
    """Return the answer with one page."""
    following = f"{invoices[-1].issued_s}.{invoices[-1].idempotency_key}" if len(invoices) == limit else None
    return {"tenant": tenant, "invoices": [each.as_json() for each in invoices], "next": following}
