"""The anti-corruption layer: a record becomes an invoice, whole, or is quarantined."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.invoices import MAX_AMOUNT_CENTS, Invoice, usual_due
from target_stack.services.billing.acl import LEGACY_TIME, Quarantined, to_legacy, translate
from target_stack.services.legacy.model import DRIFTS, new_record, shown

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200)
CENTS = st.integers(1, MAX_AMOUNT_CENTS)
NOW = st.integers(1_000_000_000, 4_000_000_000)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
GOOD = {**new_record("acme", "key-1", 1999, 1_790_000_000 * 10**9), "LFDNR": 7}


@st.composite
def invoices(draw) -> Invoice:
    issued_s = draw(NOW)
    issued = datetime.fromtimestamp(issued_s, LEGACY_TIME).date()
    later = st.integers(0, 900).map(lambda days: date.fromordinal(issued.toordinal() + days).isoformat())
    due_on = draw(st.just(usual_due(issued)) | later)
    status = draw(st.sampled_from(["open", "paid", "cancelled"]))
    return Invoice("acme", draw(KEYS), draw(CENTS), "EUR", status, issued_s, due_on)


@given(invoices())
def test_an_invoice_survives_the_way_to_the_monolith_and_back(invoice):
    assert translate({**to_legacy(invoice), "LFDNR": 1}, "acme") == invoice


@given(KEYS, CENTS, NOW)
def test_both_understand_a_fresh_record_of_the_monolith_alike(key, cents, now_s):
    record = {**new_record("acme", key, cents, now_s * 10**9), "LFDNR": 1}
    assert translate(record, "acme") == shown(record, "acme")


@pytest.mark.parametrize("drift", DRIFTS)
def test_every_drift_is_quarantined(drift):
    assert isinstance(translate(DRIFTS[drift](GOOD), "acme"), Quarantined)


@given(st.sampled_from(sorted(GOOD)), ODD)
def test_a_record_with_one_odd_field_means_the_same_or_nothing(field, value):
    found = translate({**GOOD, field: value}, "acme")
    if isinstance(found, Invoice):
        assert (found.tenant, found.currency) == ("acme", "EUR")
        assert 1 <= found.amount_cents <= MAX_AMOUNT_CENTS
        assert date.fromisoformat(found.due_on) >= datetime.fromtimestamp(found.issued_s, LEGACY_TIME).date()


@given(ODD | st.dictionaries(st.sampled_from([*sorted(GOOD), "NEU"]), ODD))
def test_nonsense_is_quarantined_and_never_raises(record):
    assert isinstance(translate(record, "acme"), Quarantined)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MANDANT": "FFFFFF"}, "another tenant's record"),
        ({"BETRAG": "-5"}, "BETRAG is no amount of cents"),
        ({"BETRAG": "0"}, "BETRAG is no amount of cents"),
        ({"BETRAG": "12,50"}, "BETRAG is no amount of cents"),
        ({"BELDAT": "31.02.2026"}, "BELDAT is no date or time"),
        ({"BELDAT": "2026-02-01"}, "BELDAT is no date or time"),
        ({"ZEIT": "250000"}, "BELDAT is no date or time"),
        ({"FAELLIG": "01.01.2001"}, "FAELLIG is before BELDAT"),
        ({"STATUS": "77"}, "STATUS is an unknown code"),
        ({"WKZ": "DEM"}, "WKZ is a currency that nobody here invoices in"),
        ({"EXTREF": None}, "EXTREF is no key"),
        ({"LFDNR": "7"}, "LFDNR is no number"),
        ({"NEU": 1}, "fields: NEU"),
    ],
)
def test_the_quarantine_says_why(change, reason):
    record = {**GOOD, **change}
    found = translate(record, "acme")
    assert isinstance(found, Quarantined)
    assert (found.reason, found.record) == (reason, record)


@pytest.mark.parametrize("status", [None, "10"])
def test_what_goes_without_saying_may_be_missing(status):
    found = translate({**GOOD, "STATUS": status, "WKZ": "", "FAELLIG": ""}, "acme")
    assert found == translate(GOOD, "acme")
