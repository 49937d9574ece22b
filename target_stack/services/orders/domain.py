"""Placing an order: claim the key, price, reserve, pay, confirm. Only what is committed is acknowledged.

What fails half-way is undone in the background: first the key is given free, and only if that shows that the order did
not come about the goods go back on the shelf. The order id is the key of the payment, so that a repeated request never
pays twice; the reservation's key also holds the attempt, so that undoing one attempt never undoes the next.
"""

import asyncio
import uuid
from collections.abc import Sequence

from target_stack.kit.background import BackgroundTasks
from target_stack.kit.call_context import CallContext, current_caller, set_context
from target_stack.kit.clock import Clock
from target_stack.kit.deadline import Deadline
from target_stack.kit.errors import ApiError
from target_stack.services.orders.announcing import Announcer
from target_stack.services.orders.callees import Callees, Price
from target_stack.services.orders.store import Claim, Line, Occupied, Order, OrderStore, Wish

UNDO_WITHIN_S = 2.0


class OrderDesk:
    """Takes orders."""

    def __init__(
        self,
        store: OrderStore,
        callees: Callees,
        announcer: Announcer,
        tasks: BackgroundTasks,
        clock: Clock,
        *,
        undoes: bool = True,
    ) -> None:
        self._store = store
        self._callees = callees
        self._announcer = announcer
        self._tasks = tasks
        self._clock = clock
        self._undoes = undoes

    async def place(self, wish: Wish) -> Order:
        """Return the order of *wish*, placed now or before; raise ApiError when it does not come about."""
        self._announcer.check_room(wish.tenant)
        claim = await self._store.claim(wish, f"ord-{uuid.uuid4().hex}", self._clock.unix_ns())
        if isinstance(claim, Occupied):
            return _placed_before(wish, claim)
        try:
            return await self._carry_out(wish, claim)
        except BaseException:  # the deadline and a client who went away cancel us: undo then too
            if self._undoes:
                self._tasks.start("undo of an order", self._undo(claim))
            raise

    async def _carry_out(self, wish: Wish, claim: Claim) -> Order:
        lines, currency = await self._price(wish)
        total = Price(sum(line.quantity * line.price_cents for line in lines), currency)
        await self._callees.reserve(_reservation_key(claim), dict(wish.quantities))
        await self._callees.pay(claim.order_id, total, reference=wish.key)
        order = _confirmed(claim, lines, total)
        if not await self._store.confirm(claim, order):
            raise _in_progress()
        return order

    async def _price(self, wish: Wish) -> tuple[list[Line], str]:
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._callees.price(sku)) for sku, _ in wish.quantities]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        prices = [task.result() for task in asked]
        lines = [
            Line(sku, quantity, price.cents) for (sku, quantity), price in zip(wish.quantities, prices, strict=True)
        ]
        return lines, prices[0].currency

    async def _undo(self, claim: Claim) -> None:
        set_context(CallContext(Deadline.after(UNDO_WITHIN_S, self._clock), current_caller()))
        if await self._store.abandon(claim):
            await self._callees.release(_reservation_key(claim))


def _placed_before(wish: Wish, occupied: Occupied) -> Order:
    if occupied.fingerprint != wish.fingerprint:
        raise ApiError(422, "key_reused", "this Idempotency-Key was used for another order")
    if occupied.order is None:
        raise _in_progress()
    return occupied.order


def _in_progress() -> ApiError:
    return ApiError(409, "in_progress", "an order with this Idempotency-Key is being placed", retry_after_s=1.0)


def _reservation_key(claim: Claim) -> str:
    return f"{claim.order_id}:{claim.attempt}"


def _confirmed(claim: Claim, lines: Sequence[Line], total: Price) -> Order:
    return Order(
        tenant=claim.tenant,
        id=claim.order_id,
        idempotency_key=claim.key,
        status="confirmed",
        lines=tuple(lines),
        total_cents=total.cents,
        currency=total.currency,
        created_ns=claim.created_ns,
    )
