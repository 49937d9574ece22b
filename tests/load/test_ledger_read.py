"""Ledgers are read to their end, or it is said why not."""

import json

import pytest

from harness.load.answer import Answer
from harness.load.ledger_read import LedgerRead, LedgerReader, ledger_values
from harness.model.files.target import Ledger

ORDERS = Ledger(path="/o?after={cursor}", keys="orders[].id", cursor="next", watermark="orders[].tenant")


def page(*ids, following=None, tenant="acme"):
    body = {"orders": [{"id": i, "tenant": tenant} for i in ids], "next": following}
    return Answer(200, json.dumps(body).encode())


def read(answers, ledger=ORDERS):
    asked, pauses = [], []
    answers = iter(answers)

    def send(request):
        asked.append(request.path)
        return next(answers)

    reader = LedgerReader(send, pauses.append)
    return reader.read(ledger, values=ledger_values("acme", {}, 0, "t"), headers={}), asked, len(pauses)


@pytest.mark.parametrize(
    ("answers", "result", "asked", "pauses"),
    [
        ([page()], LedgerRead((), None), ["/o?after="], 0),
        (
            [page(1, following="a b"), page(2)],
            LedgerRead((("1", "acme"), ("2", "acme")), None),
            ["/o?after=", "/o?after=a%20b"],
            0,
        ),
        ([Answer(429), Answer(error="timeout"), page(1)], LedgerRead((("1", "acme"),), None), ["/o?after="] * 3, 2),
        ([Answer(403)], LedgerRead((), "status 403"), ["/o?after="], 0),
        ([Answer(500)] * 6, LedgerRead((), "status 500"), ["/o?after="] * 6, 5),
        ([Answer(200, b"<html>")], LedgerRead((), "the answer is not JSON"), ["/o?after="], 0),
        ([Answer(200, b"{}")], LedgerRead((), "the answer has no 'orders[].id'"), ["/o?after="], 0),
        (
            [page(1, following="x"), page(2, following="x"), page(3, following="x")],
            LedgerRead((("1", "acme"), ("2", "acme")), "the cursor 'x' came twice"),
            ["/o?after=", "/o?after=x"],
            0,
        ),
        ([page(1, tenant="globex")], LedgerRead((("1", "globex"),), None), ["/o?after="], 0),
    ],
)
def test_ledgers_are_read_to_the_end_or_the_cause_is_said(answers, result, asked, pauses):
    assert read(answers) == (result, asked, pauses)


def test_one_watermark_may_stand_for_a_whole_page():
    ledger = Ledger(path="/o", keys="ids[]", watermark="tenant")
    body = json.dumps({"ids": [1, 2], "tenant": "acme"}).encode()
    assert read([Answer(200, body)], ledger)[0] == LedgerRead((("1", "acme"), ("2", "acme")), None)
