"""PostgreSQL's error classes as a whole: every error that asyncpg knows falls on somebody, and none is forgotten."""

import asyncpg
import pytest

from target_stack.kit.database_errors import Blame, blame_for

AGAIN, NOT_ME, BUG = Blame.TRY_AGAIN, Blame.NOT_ME, Blame.MY_BUG
CLASSES = {
    **dict.fromkeys(("08", "40", "53", "57"), AGAIN),
    **dict.fromkeys(("28", "3D", "58", "F0", "XX"), NOT_ME),
}
EXCEPTIONS = {
    "08P01": BUG, "25006": AGAIN, "25P03": AGAIN, "25P04": AGAIN, "53100": NOT_ME, "55006": AGAIN, "55P03": AGAIN,
    "57P04": NOT_ME, "72000": AGAIN,
}  # fmt: skip


def of_state(state: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": state, "M": "a message", "S": "ERROR"})


def known_states() -> list[str]:
    kinds = [each for each in vars(asyncpg.exceptions).values() if isinstance(each, type)]
    return sorted({each.sqlstate for each in kinds if getattr(each, "sqlstate", None)})


def test_every_error_of_a_class_is_somebodys_trouble():
    states = known_states()
    assert len(states) > 200
    assert {state: blame_for(of_state(state)) for state in states} == {
        state: EXCEPTIONS.get(state, CLASSES.get(state[:2], BUG)) for state in states
    }


@pytest.mark.parametrize(
    ("state", "blame"),
    [
        ("53300", AGAIN),  # too many connections
        ("53200", AGAIN),  # out of memory
        ("57014", AGAIN),  # cancelled: a statement's time was over
        ("57P01", AGAIN),  # shut down by an administrator
        ("57P03", AGAIN),  # starting
        ("40001", AGAIN),  # could not be serialised
        ("40P01", AGAIN),  # deadlock
        ("28P01", NOT_ME),  # wrong password
        ("3D000", NOT_ME),  # no such database
        ("53100", NOT_ME),  # disk full
        ("XX001", NOT_ME),  # corrupted
        ("42P01", BUG),  # no such table
        ("42501", BUG),  # a row of another tenant
        ("23505", BUG),  # unique violation
        ("22P02", BUG),  # malformed value
        ("", BUG),
    ],
)
def test_the_ones_that_matter_at_three_in_the_morning(state, blame):
    assert blame_for(of_state(state)) is blame


@pytest.mark.parametrize(
    ("error", "blame"),
    [
        (ConnectionRefusedError(), AGAIN),
        (TimeoutError(), AGAIN),
        (asyncpg.InterfaceError("the connection is closed"), AGAIN),
        (asyncpg.exceptions._base.DataError("an argument that cannot be"), BUG),
        (ZeroDivisionError(), BUG),
    ],
)
def test_what_the_library_and_the_network_raise_counts_as_well(error, blame):
    assert blame_for(error) is blame
