"""What a flag is worth for one caller."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.flag_rules import FlagRuleError, Resolution, bucket, murmur3, resolve
from target_stack.services.flags.book import FlagBook, FlagValueError, UnknownFlagError

SWITCH = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
SOURCE = {"state": "ENABLED", "variants": {"old": "old", "new": "new"}, "defaultVariant": "old"}
KEYS = st.text(min_size=1, max_size=40)


def share(book: FlagBook, key: str, tenant: str = "acme") -> bool:
    found = resolve("switch", book.document()["flags"]["switch"], {"targetingKey": key, "tenant": tenant})
    assert found is not None
    return bool(found.value)


def book_of(value) -> FlagBook:
    book = FlagBook(None, {"switch": SWITCH, "source": SOURCE})
    book.write("switch", value)
    return book


@pytest.mark.parametrize(
    ("text", "hashed"),
    [("", 0), ("a", 0x3C2569B2), ("hello", 0x248BFA47), ("hello, world", 0x149BBB7F)],
)
def test_the_hash_is_murmur3(text, hashed):
    assert murmur3(text.encode()) == hashed


@given(st.text())
def test_every_key_falls_between_0_and_100(text):
    assert 0 <= bucket(text) <= 100.0001


@given(KEYS, st.integers(0, 100))
def test_a_share_sticks_to_its_key(key, percent):
    assert share(book_of(percent), key) == share(book_of(percent), key)


@given(KEYS, st.integers(0, 100), st.integers(0, 100))
def test_whoever_has_a_share_keeps_it_while_the_share_grows(key, one, other):
    low, high = sorted((one, other))
    assert share(book_of(high), key) or not share(book_of(low), key)


@given(KEYS)
def test_no_share_and_the_whole_share_are_exact(key):
    assert (share(book_of(0), key), share(book_of(100), key)) == (False, True)


@pytest.mark.parametrize("percent", [5, 25, 50])
def test_a_share_is_about_as_large_as_asked(percent):
    book = book_of(percent)
    hits = sum(share(book, f"session-{number}") for number in range(4000))
    assert abs(hits / 40 - percent) < 3


def test_one_tenant_can_have_a_value_of_its_own_and_lose_it_again():
    book = book_of(False)
    book.write("source", "new", "acme")
    definition = book.document()["flags"]["source"]
    assert resolve("source", definition, {"tenant": "acme"}) == Resolution("new", "new", "targeting_match")
    assert resolve("source", definition, {"tenant": "globex"}) == Resolution("old", "old", "targeting_match")
    book.write("source", "old", "acme")
    assert book.document()["flags"]["source"] == SOURCE


def test_a_tenants_own_share_outweighs_the_general_value():
    book = book_of(False)
    book.write("switch", 100, "acme")
    assert (share(book, "k", "acme"), share(book, "k", "globex")) == (True, False)


@pytest.mark.parametrize("value", ["newest", True, None, 5, -1])
def test_a_value_that_the_flag_does_not_have_is_refused(value):
    with pytest.raises(FlagValueError):
        book_of(False).write("source", value)


@pytest.mark.parametrize("value", [-1, 101, "on", None])
def test_a_switch_takes_true_false_and_percentages_alone(value):
    with pytest.raises(FlagValueError):
        book_of(False).write("switch", value)


def test_an_unknown_flag_is_refused():
    with pytest.raises(UnknownFlagError):
        book_of(False).write("nowhere", True)


def test_what_was_set_survives_the_process(tmp_path):
    before = FlagBook(tmp_path, {"switch": SWITCH, "source": SOURCE})
    before.write("switch", 25)
    before.write("source", "new", "acme")
    after = FlagBook(tmp_path, {"switch": SWITCH, "source": SOURCE})
    assert json.dumps(after.document()) == json.dumps(before.document())


def test_a_disabled_flag_has_no_value():
    assert resolve("switch", {**SWITCH, "state": "DISABLED"}, {}) is None


def test_a_rule_that_nobody_knows_is_an_error_and_no_guess():
    with pytest.raises(FlagRuleError, match="sem_ver"):
        resolve("switch", {**SWITCH, "targeting": {"sem_ver": []}}, {})
