"""Asking the target, at the end, for everything that it holds of a ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from harness.load.answer import Answer, parse_json, value_at, values_at
from harness.load.placeholders import Values, fill
from harness.load.player import Request, Send
from harness.model.files.target import Ledger

_MOST_PAGES = 2000
_TIMEOUT_S = 5.0
_TRIES = 6
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """What one tenant's ledger holds: keys with the tenant that each names (None: it names none).

    `cause` says why it is not known to be all; None: it is complete.
    """

    entries: tuple[tuple[str, str | None], ...]
    cause: str | None


@dataclass(frozen=True, slots=True)
class LedgerReader:
    """Follows the pages of ledgers. A page that is refused or not answered is asked for again, a few times."""

    send: Send
    sleep: Callable[[float], None]

    def read(self, ledger: Ledger, *, values: Callable[[str], Values], headers: dict[str, str]) -> LedgerRead:
        """Read everything; *values* makes the placeholders of the page at a cursor."""
        entries: list[tuple[str, str | None]] = []
        seen: set[str] = set()
        cursor = ""
        for _ in range(_MOST_PAGES):
            document, cause = self._page(fill(ledger.path, values(cursor), in_url=True), headers)
            if cause:
                return LedgerRead(tuple(entries), cause)
            page = _entries(document, ledger)
            if page is None:
                return LedgerRead(tuple(entries), f"the answer has no {ledger.keys!r}")
            entries += page
            following = value_at(document, ledger.cursor) if ledger.cursor else None
            if following in (None, ""):
                return LedgerRead(tuple(entries), None)
            cursor = str(following)
            if cursor in seen:
                return LedgerRead(tuple(entries), f"the cursor {cursor!r} came twice")
            seen.add(cursor)
        return LedgerRead(tuple(entries), f"more than {_MOST_PAGES} pages")

    def _page(self, path: str, headers: dict[str, str]) -> tuple[object, str | None]:
        answer = Answer()
        for attempt in range(_TRIES):
            if attempt:
                self.sleep(_PAUSE_S)
            answer = self.send(Request("GET", path, headers, None, _TIMEOUT_S))
            if answer.status == 200:
                document = parse_json(answer.body)
                return document, None if document is not None else "the answer is not JSON"
            if 400 <= answer.status < 500 and answer.status != 429:
                break
        return None, answer.error or f"status {answer.status}"


def _entries(document: object, ledger: Ledger) -> list[tuple[str, str | None]] | None:
    """Return keys and named tenants of one page; None where it has no such list. An empty list is an answer."""
    keys = values_at(document, ledger.keys)
    if None in keys:
        return None
    named = values_at(document, ledger.watermark) if ledger.watermark else [None]
    if len(named) != len(keys):
        named = (named or [None])[:1] * len(keys)
    return [(str(key), None if name is None else str(name)) for key, name in zip(keys, named, strict=True)]


def ledger_values(tenant: str, attributes: dict[str, str], run_started_ns: int, token: str) -> Callable[[str], Values]:
    """Return what fills in a ledger's path for each cursor."""
    return lambda cursor: Values(tenant, attributes, run_started_ns, Random(0), token=token, cursor=cursor)
