import uuid

import pytest


class Shelf:
    def __init__(self, stack) -> None:
        self._stack = stack

    def count(self, sku="sku-5", tenant="acme"):
        return self._stack.call("GET", f"/stock/{sku}", tenant=tenant, at="inventory").json["available"]

    def reserve(self, key, quantities, tenant="acme"):
        return self._post("/reservations", key, {"quantities": quantities}, tenant)

    def release(self, key, tenant="acme"):
        return self._post("/reservations/release", key, {}, tenant)

    def _post(self, path, key, body, tenant):
        return self._stack.call(
            "POST", path, tenant=tenant, at="inventory", headers={"Idempotency-Key": key}, body=body
        )


@pytest.fixture
def shelf(stack):
    return Shelf(stack)


@pytest.fixture
def key():
    return uuid.uuid4().hex


def test_a_repeated_reservation_takes_once(shelf, key):
    before = shelf.count()
    assert [shelf.reserve(key, {"sku-5": 2}).status for _ in range(3)] == [201] * 3
    assert shelf.count() == before - 2


def test_a_repeated_release_gives_back_once(shelf, key):
    before = shelf.count()
    shelf.reserve(key, {"sku-5": 2, "sku-6": 1})
    assert [shelf.release(key).status for _ in range(3)] == [200] * 3
    assert shelf.count() == before


def test_a_release_that_overtakes_its_reservation_wins(shelf, key):
    before = shelf.count()
    assert shelf.release(key).status == 200
    late = shelf.reserve(key, {"sku-5": 2})
    assert (late.status, late.json["error"]) == (409, "released_before")
    assert shelf.count() == before


def test_all_or_nothing_is_reserved(shelf, key):
    before = shelf.count()
    reply = shelf.reserve(key, {"sku-5": 1, "sku-999": 1})
    assert (reply.status, reply.json["error"]) == (409, "out_of_stock")
    assert shelf.count() == before


def test_a_reservation_belongs_to_its_tenant(shelf, key):
    before = shelf.count()
    shelf.reserve(key, {"sku-5": 1})
    assert shelf.release(key, tenant="globex").status == 200
    assert shelf.count() == before - 1


@pytest.mark.parametrize("quantities", [None, {}, [], {"sku-5": 0}, {"sku-5": "1"}, {"": 1}, {"a\x00": 1}])
def test_malformed_quantities_are_the_callers_mistake(shelf, key, quantities):
    reply = shelf.reserve(key, quantities)
    assert (reply.status, reply.json["error"]) == (400, "bad_request")
