"""What a consumer has applied, in the same transaction as the effect: each event counts once, and in order for its key.

Delivery is at least once and, after a failure, out of order. The number of the last applied event of each key settles
both: an older event was applied before, the next one may be, a later one has to wait for those between.
"""

from enum import Enum

from target_stack.kit.database import Transaction
from target_stack.kit.events import Event

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    tenant_id text NOT NULL, part text NOT NULL, key text NOT NULL, sequence int NOT NULL,
    PRIMARY KEY (tenant_id, part, key));
ALTER TABLE inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE inbox FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_rows ON inbox;
CREATE POLICY own_rows ON inbox USING (tenant_id = current_setting('app.tenant_id', true));
"""
_FIRST = "INSERT INTO inbox VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
_NEXT = "UPDATE inbox SET sequence = $4 WHERE tenant_id = $1 AND part = $2 AND key = $3 AND sequence = $4 - 1"
_LAST = "SELECT sequence FROM inbox WHERE tenant_id = $1 AND part = $2 AND key = $3"


class TooEarlyError(Exception):
    """An event about the same key that comes before this one has not been applied yet."""


class Admission(Enum):
    """Whether an event is to be applied."""

    NEW = "new"
    REPEATED = "repeated"


async def admit(transaction: Transaction, event: Event, part: str = "") -> Admission:
    """Book *event* in this transaction, apart for each *part* of the consumer; raise TooEarlyError before its turn."""
    statement = _FIRST if event.sequence == 1 else _NEXT
    booked = await transaction.execute(statement, event.tenant, part, event.key, event.sequence)
    if booked.endswith(" 1"):
        return Admission.NEW
    last = await transaction.fetchrow(_LAST, event.tenant, part, event.key)
    if last is not None and last["sequence"] >= event.sequence:
        return Admission.REPEATED
    msg = f"waits for event {0 if last is None else last['sequence']} + 1 of {event.key}"
    raise TooEarlyError(msg)
