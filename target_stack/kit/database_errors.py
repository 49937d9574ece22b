"""What PostgreSQL's errors mean for a service, by their class (the first two letters of SQLSTATE) as a whole.

Try again: the database is short of something, in between, or sorting out a conflict; in a moment it may well answer.
Not me: it is down, set up wrongly, or damaged; the service is sound, and asking again soon changes nothing.
My bug: the statement or its data is wrong; this is the service's own mistake, and stays an exception.
See https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

from enum import Enum

import asyncpg


class Blame(Enum):
    """Whose trouble an error is."""

    TRY_AGAIN = "try_again"
    NOT_ME = "not_me"
    MY_BUG = "my_bug"


RETRY_AFTER_S = {Blame.TRY_AGAIN: 1.0, Blame.NOT_ME: 5.0}
_TRY_AGAIN = frozenset({"08", "40", "53", "57"})  # connection, rollback, resources, operator
_NOT_ME = frozenset({"28", "3D", "58", "F0", "XX"})  # login, no such database, system, configuration, damaged
_EXCEPTIONS = {
    "08P01": Blame.MY_BUG,  # a protocol violation
    "25006": Blame.TRY_AGAIN,  # read-only: a fail-over has not reached us
    "25P03": Blame.TRY_AGAIN,  # ended because we were idle in a transaction
    "25P04": Blame.TRY_AGAIN,  # ended because the transaction took too long
    "53100": Blame.NOT_ME,  # disk full
    "55006": Blame.TRY_AGAIN,  # in use
    "55P03": Blame.TRY_AGAIN,  # locked
    "57P04": Blame.NOT_ME,  # the database was dropped
    "72000": Blame.TRY_AGAIN,  # the snapshot is too old
}


def blame_for(error: BaseException) -> Blame:
    """Return whose trouble *error* is; what a library or the network raises counts as well."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error.sqlstate or "")
    if isinstance(error, asyncpg.InterfaceError):  # ValueError: an argument that its statement cannot take
        return Blame.MY_BUG if isinstance(error, ValueError) else Blame.TRY_AGAIN
    return Blame.TRY_AGAIN if isinstance(error, OSError | TimeoutError) else Blame.MY_BUG


def _of_state(state: str) -> Blame:
    if state in _EXCEPTIONS:
        return _EXCEPTIONS[state]
    if state[:2] in _TRY_AGAIN:
        return Blame.TRY_AGAIN
    return Blame.NOT_ME if state[:2] in _NOT_ME else Blame.MY_BUG
