"""What orders makes of documents and databases that let it down."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from target_stack.kit.clock import SystemClock
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.services.orders.callees import Price, _parse_price
from target_stack.services.orders.store import Claim, Order, OrderStore

CLAIM = Claim("acme", "key", "ord-1", 1, 7)
ORDER = Order("acme", "ord-1", "key", "confirmed", (), 525, "EUR", 7)


class Failing:
    def __init__(self, error):
        self.error = error

    @asynccontextmanager
    async def transaction(self, _operation, _tenant=None):
        raise self.error
        yield


@pytest.mark.parametrize("error", [DatabaseUnavailableError, DeadlineExceededError])
def test_an_order_that_could_not_be_committed_is_not_confirmed(error):
    store = OrderStore(Failing(error()), None, SystemClock())
    with pytest.raises(error):
        asyncio.run(store.confirm(CLAIM, ORDER))


@pytest.mark.parametrize("error", [DatabaseUnavailableError, DeadlineExceededError])
def test_it_is_where_the_error_is_swallowed(error):
    store = OrderStore(Failing(error()), None, SystemClock(), admits_failures=False)
    assert asyncio.run(store.confirm(CLAIM, ORDER))


def test_a_price_is_read():
    assert _parse_price(b'{"price_cents": 525, "currency": "EUR"}') == Price(525, "EUR")


@pytest.mark.parametrize(
    "raw",
    [
        *(b"[]", b"null", b"5", b'"text"', b"{}", b"", b"not json", b"\xff", b"[" * 100_000),
        *(
            json.dumps({"price_cents": cents, "currency": "EUR"}).encode()
            for cents in (None, 0, -1, 5.5, True, "525", [], {}, 10**30)
        ),
        *(json.dumps({"price_cents": 525, "currency": currency}).encode() for currency in (None, "", 5, [])),
    ],
)
def test_a_document_that_names_no_price_never_becomes_an_order(raw):
    assert _parse_price(raw) is None
