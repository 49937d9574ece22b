"""A tenant's orders move between pool, bridge and silo while it orders, and while orders is killed."""

import json
import signal
import threading
import time
import uuid

import pytest


@pytest.fixture
def wishes(stack, tmp_path, until):
    """Says where tenants are wanted; in the end everybody is back."""
    path = tmp_path / "tenancy.json"
    stack.restart("orders", TENANCY_FILE=str(path))

    def wish(**homes: str) -> None:
        path.write_text(json.dumps(homes))
        for tenant, home in homes.items():
            until(lambda tenant=tenant, home=home: home_of(stack, tenant) == home, f"{tenant} is in its {home}")

    wish.path = path
    yield wish
    wish(initech="pool", globex="bridge")
    stack.restart("orders")


def home_of(stack, tenant):
    homes = ("pool", "bridge", "silo")
    return next(
        (h for h in homes if stack.metric("orders", "resilience_tenant_home", tenant=tenant, tenancy=h) == 1), None
    )


class Buyers:
    """Clients of one tenant, who order until they are stopped and keep what was acknowledged."""

    def __init__(self, stack, tenant, clients=3):
        self.acknowledged, self.statuses = [], []
        self._stack, self._tenant, self._stopped = stack, tenant, threading.Event()
        stack.token(tenant)
        self._threads = [threading.Thread(target=self._buy) for _ in range(clients)]

    def _buy(self):
        while not self._stopped.is_set():
            key = uuid.uuid4().hex
            reply = self._stack.order(self._tenant, key=key)
            self.statuses.append(reply.status)
            if reply.status == 201:
                self.acknowledged.append(key)
            time.sleep(0.01)

    def __enter__(self):
        self._since_ns = time.time_ns()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def stored(self):
        orders, cursor = [], ""
        while cursor is not None:
            path = f"/orders?since={self._since_ns}&after={cursor}&limit=500"
            page = self._stack.call("GET", path, tenant=self._tenant).json
            assert {order["tenant"] for order in page["orders"]} <= {self._tenant}
            orders += [order["idempotency_key"] for order in page["orders"]]
            cursor = page["next"]
        return orders


def test_a_move_under_load_is_a_change_of_configuration(stack, wishes):
    with Buyers(stack, "initech") as movers, Buyers(stack, "acme", clients=1) as others:
        wishes(initech="silo")
        wishes(initech="bridge")
        wishes(initech="silo")
        time.sleep(0.3)
    assert set(movers.statuses) == set(others.statuses) == {201}
    assert sorted(movers.stored()) == sorted(movers.acknowledged)
    assert sorted(others.stored()) == sorted(others.acknowledged)
    rows = stack.postgres.run("SELECT DISTINCT tenant_id FROM orders", database="orders_initech")
    assert rows == "initech"


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(stack, wishes, after_s, until):
    with Buyers(stack, "initech") as buyers:
        time.sleep(0.2)
        wishes.path.write_text(json.dumps({"initech": "silo"}))
        until(
            lambda: stack.metric("orders", "resilience_tenant_move_steps_total", tenant="initech", step="prepared"),
            "it moves",
        )
        time.sleep(after_s)
        stack.stop("orders", signal.SIGKILL)
        stack.start("orders", TENANCY_FILE=str(wishes.path))
        stack.wait("orders")
        wishes(initech="silo")
        time.sleep(0.2)
    stored = buyers.stored()
    assert len(stored) == len(set(stored))
    assert set(buyers.acknowledged) <= set(stored)
    assert buyers.statuses[-1] == 201


def test_a_wish_for_what_does_not_exist_moves_nobody(stack, wishes):
    wishes.path.write_text(json.dumps({"globex": "silo"}))  # there is no database for it
    time.sleep(0.6)
    assert (home_of(stack, "globex"), stack.order("globex").status) == ("bridge", 201)
    wishes.path.write_text("not json")
    time.sleep(0.6)
    assert (home_of(stack, "globex"), stack.order("globex").status) == ("bridge", 201)
