"""Charging a card, simulated: it takes a while, can do only so many at once, and charges each key once."""

import asyncio
import random
import secrets
from collections import OrderedDict
from dataclasses import dataclass

MAX_REMEMBERED = 50_000
DECLINED_FROM_CENTS = 100_000_00


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge; `id` is empty when it was declined."""

    id: str
    amount_cents: int
    currency: str


class Till:
    """Charges of one provider, in memory."""

    def __init__(self, *, processing_s: float, parallel: int) -> None:
        self._processing_s = processing_s
        self._places = asyncio.Semaphore(parallel)
        self._charges: OrderedDict[str, Charge] = OrderedDict()

    async def charge(self, key: str, amount_cents: int, currency: str) -> Charge:
        """Return the charge of *key*, made now or before."""
        async with self._places:
            await asyncio.sleep(self._processing_s * random.uniform(0.9, 1.1))
        known = self._charges.get(key)
        if known is not None:
            return known
        accepted = amount_cents < DECLINED_FROM_CENTS
        charge = Charge(f"ch-{secrets.token_hex(8)}" if accepted else "", amount_cents, currency)
        self._remember(key, charge)
        return charge

    def _remember(self, key: str, charge: Charge) -> None:
        self._charges[key] = charge
        if len(self._charges) > MAX_REMEMBERED:
            self._charges.popitem(last=False)
