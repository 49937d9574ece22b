"""kill -9 of orders, broker and consumers at random moments, under load: every acknowledged order, exactly once.

CRASHES sets how many; the usual suite takes a few.
"""

import os
import random
import signal
import threading
import time
import uuid
from contextlib import suppress

from tests.target_stack.services.test_events import notified

CRASHES = int(os.environ.get("CRASHES", "6"))
VICTIMS = ("orders", "broker", "notifications", "orders", "broker")
TENANTS = ("acme", "globex", "initech")


class Customers:
    """Place orders without pause and remember which were acknowledged."""

    def __init__(self, stack) -> None:
        self.acknowledged: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._stack = stack
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._shop, args=(tenant,)) for tenant in TENANTS]

    def __enter__(self) -> "Customers":
        for tenant in TENANTS:
            self._stack.token(tenant)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, tenant: str) -> None:
        while not self._over.wait(0.02):
            key = uuid.uuid4().hex
            with suppress(OSError):
                if self._stack.order(tenant, key=key).status == 201:
                    self.acknowledged[tenant].append(key)


def test_every_acknowledged_order_has_its_effect_exactly_once(stack, until):
    rng = random.Random(20)
    with Customers(stack) as customers:
        for crash in range(CRASHES):
            time.sleep(rng.uniform(0.05, 0.6))
            victim = VICTIMS[crash % len(VICTIMS)]
            stack.stop(victim, signal.SIGKILL)
            time.sleep(rng.uniform(0.0, 0.3))
            stack.start(victim)
            stack.wait(victim)
    assert all(len(keys) > CRASHES for keys in customers.acknowledged.values()), "there was hardly any load"
    for tenant, keys in customers.acknowledged.items():
        until(lambda tenant=tenant, keys=keys: set(keys) <= set(notified(stack, tenant)), f"effects of {tenant}", 60)
        sent = notified(stack, tenant)
        assert sorted(set(sent)) == sorted(sent), "an effect came about twice"
