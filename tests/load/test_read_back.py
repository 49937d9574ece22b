"""Which ledgers are read back, and how long an acknowledged write may take to show up."""

import gevent
import pytest

from harness.load.ledger_read import LedgerRead
from harness.load.read_back import ReadBack, ledgers_in_use
from harness.model.files.target import Ledger
from tests.load.misbehaving_shop import FLOWS, LEDGERS
from tests.load.running import plan_of


def plan(*asked):
    made = plan_of(FLOWS, {"acme": {"buy": 1}, "globex": {"good": 1}}, ledgers=LEDGERS)
    effects = {**LEDGERS, "effects": {**LEDGERS["orders"], "of": "orders"}}
    raw = made.model_dump(mode="json")
    raw["target"]["ledgers"] = effects
    raw["scenario"]["checks"] = [{"integrity": {"ledger": name}} for name in asked]
    return type(made).model_validate(raw)


def test_a_derived_ledger_is_read_only_where_a_check_asks_for_it():
    assert ledgers_in_use(plan("orders")) == [("orders", "acme")]
    assert ledgers_in_use(plan("effects")) == [("effects", "acme"), ("orders", "acme")]


@pytest.mark.parametrize(("patience", "reads"), [("0s", 1), ("1s", 3), ("1m", 4)])
def test_what_is_missing_is_waited_for_no_longer_than_promised(monkeypatch, patience, reads):
    monkeypatch.setattr(gevent, "sleep", lambda _seconds: None)
    asked = []

    def read():
        asked.append(1)
        there = ("a", "b") if len(asked) == 4 else ("a",)
        return LedgerRead(tuple((key, "acme") for key in there), None)

    ledger = Ledger.model_validate({**LEDGERS["orders"], "of": "orders", "within": patience})
    ReadBack._read_patiently(None, ledger, read, {"a", "b"})
    assert len(asked) == reads
