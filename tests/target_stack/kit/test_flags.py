"""What a service makes of its source of flags when that talks nonsense."""

import json

import pytest

from target_stack.kit.flags import FlagMemory, Snapshot, parse_snapshot

FLAG = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
OTHER = {**FLAG, "defaultVariant": "off"}


def document(flags, revision="2") -> bytes:
    return json.dumps({"revision": revision, "flags": flags}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"[]", b"null", b"5", b"{}", b"", b"not json", b"\xff", b"[" * 100_000),
        *(document(flags) for flags in ({}, None, [], 5, {"a": None}, {"a": {}}, {"a": []}, {"a": 5})),
        *(document({"a": FLAG}, revision) for revision in (None, "", [], {})),
        json.dumps({"flags": {"a": FLAG}}).encode(),
    ],
)
def test_a_document_without_any_sense_is_no_answer(raw):
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own, or ours
        parse_snapshot(raw)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        5,
        [],
        {},
        {"variants": None, "defaultVariant": "on"},
        {"variants": {"on": True}, "defaultVariant": None},
        {"variants": {"on": True}, "defaultVariant": "off"},
        {"variants": {"on": None}, "defaultVariant": "on"},
        {**FLAG, "targeting": []},
        {**FLAG, "state": None},
    ],
)
def test_a_definition_that_makes_no_sense_does_not_take_the_place_of_one_that_does(broken, tmp_path):
    memory = FlagMemory(tmp_path / "flags.json")
    memory.keep(Snapshot("1", {"a": FLAG, "b": FLAG}))
    memory.keep(parse_snapshot(document({"a": broken, "b": OTHER})))
    assert memory.snapshot == Snapshot("2", {"a": FLAG, "b": OTHER})
    assert FlagMemory(tmp_path / "flags.json").snapshot == memory.snapshot


def test_a_flag_that_is_gone_from_a_sound_document_is_gone():
    memory = FlagMemory(None)
    memory.keep(Snapshot("1", {"a": FLAG, "b": FLAG}))
    memory.keep(parse_snapshot(document({"b": FLAG})))
    assert memory.snapshot == Snapshot("2", {"b": FLAG})
