"""What each line of events.jsonl is taken for: an event, a foreign one, a line that a kill cut short, or damage."""

import json

import pytest

from harness.model.errors import DamagedRecordingError
from harness.model.run.events import Event, Kind
from harness.recording.event_lines import ForeignEvent, read_lines
from harness.recording.event_log import EventLog

NOTE = b'{"time": 1, "kind": "note", "text": "first \\u2014 quoted \\"so\\"", "number": 1.5, "on": true, "none": null}'


def lines_of(tmp_path, *lines):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    return list(read_lines(path))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1, 2]", "an event is an object, this line holds a list"),
        (b"5", "an event is an object, this line holds a int"),
        (b'"text"', "an event is an object"),
        (b"null", "an event is an object"),
        (b"{}", "this line has none"),
        (b'{"kind": "note"}', "this line has none"),
        (b'{"time": "1", "kind": "note"}', 'this line has "1"'),
        (b'{"time": true, "kind": "note"}', "this line has true"),
        (b'{"time": null, "kind": "note"}', "this line has null"),
        (b'{"time": 1.5, "kind": "note"}', "this line has 1.5"),
        (b'{"time": -1, "kind": "note"}', "this line has -1"),
        (b'{"time": 9223372036854775808, "kind": "note"}', "whole number of nanoseconds"),
        (b'{"time": 1' + b"0" * 5000 + b', "kind": "note"}', "a number of 5001 digits"),
        (b'{"time": NaN, "kind": "note"}', "NaN is not a JSON number"),
        (b'{"time": 1e999, "kind": "note"}', "too large"),
        (b'{"time": 1}', "says its kind"),
        (b'{"time": 1, "kind": 7}', "says its kind"),
        (b'{"time": 1, "kind": ["note"]}', "says its kind"),
        (b'{"time": 1, "kind": "note", "value": NaN}', "NaN is not a JSON number"),
        (b'{"time": 1, "kind": "note", "value": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"time": 1, "kind": "note", "value": 1' + b"0" * 30 + b"}", "the number of 'value' is too large"),
        (b'{"time": 1, "kind": "plugin.thing", "value": 1e400}', "too large"),
        (b'{"time": 1, "kind": "note", "text": "\xff"}', "not UTF-8 at byte 37"),
        (b'{"time": 1, "kind": "note", "deep": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
        (b"[" * 10_000, "nested too deeply"),
        (b"garbage", "not JSON"),
        (b"\x00\x00\x00\x00", "not JSON"),
        (b'{"time": 1, "kind": "note"} {"time": 2, "kind": "note"}', "not JSON: Extra data"),
        (b'{"time": 1, "ki{"time": 2, "kind": "note"}', "not JSON"),
        (b"{'time': 1}", "not JSON"),
        (b'{"time": 1, "kind": "note",}', "not JSON"),
        (b'\xef\xbb\xbf{"time": 1, "kind": "note"}', "not JSON"),
    ],
)
def test_a_line_that_is_no_event_is_damage_told_with_file_and_line(tmp_path, line, problem):
    with pytest.raises(DamagedRecordingError) as told:
        lines_of(tmp_path, NOTE, line, NOTE)
    assert str(told.value).startswith(f"{tmp_path / 'events.jsonl'}:2: damaged: ")
    assert problem in str(told.value)
    assert "\n" not in str(told.value)


def test_a_kind_that_this_version_does_not_know_is_kept_and_no_event(tmp_path):
    line = b'{"time": 1, "kind": "plugin.thing", "nested": {"a": [1]}, "time_": 7}'
    assert lines_of(tmp_path, line) == [ForeignEvent(1, "plugin.thing", {"nested": {"a": [1]}, "time": 7})]


def test_unknown_keys_of_a_known_kind_are_kept_what_is_nested_as_text(tmp_path):
    line = b'{"time": 1, "kind": "note", "text": "x", "owner": "me", "more": {"a": 1}}'
    assert lines_of(tmp_path, line) == [Event(1, Kind.NOTE, {"text": "x", "owner": "me", "more": '{"a": 1}'})]


def test_a_kind_under_its_name_of_0_1_0_is_the_same_kind(tmp_path):
    assert lines_of(tmp_path, b'{"time": 1, "kind": "fault.felt"}') == [Event(1, Kind("fault.observed"))]


def test_half_a_character_is_replaced(tmp_path):
    (event,) = lines_of(tmp_path, b'{"time": 1, "kind": "note", "text": "\\ud800!"}')
    assert event.text("text") == "?!"


def test_a_line_cut_at_any_byte_is_no_damage_wherever_it_stands(tmp_path):
    whole = json.loads(NOTE)
    for cut in range(1, len(NOTE)):
        before, torn, after = lines_of(tmp_path, NOTE, NOTE[:cut], NOTE)
        assert (before.text("text"), torn, after.text("text")) == (whole["text"], None, whole["text"]), NOTE[:cut]


def test_empty_lines_are_nothing(tmp_path):
    assert len(lines_of(tmp_path, b"", NOTE, b"", b"  ", NOTE, b"")) == 2


def test_a_line_separator_within_a_text_ends_no_line(tmp_path):
    (event,) = lines_of(tmp_path, '{"time": 1, "kind": "note", "text": "a\u2028b"}'.encode())
    assert event.text("text") == "a\u2028b"


def test_a_measure_that_is_no_number_is_written_as_null(tmp_path):
    log = EventLog(tmp_path)
    log.append(Event(1, Kind.NOTE, {"p95": float("nan"), "most": float("inf"), "least": 2.0}))
    log.close()
    assert list(read_lines(tmp_path / "events.jsonl")) == [
        Event(1, Kind.NOTE, {"p95": None, "most": None, "least": 2.0})
    ]


def test_a_line_that_another_writer_left_unfinished_while_the_log_was_open_spoils_only_itself(tmp_path):
    log = EventLog(tmp_path)
    log.append(Event(1, Kind.NOTE))
    with (tmp_path / "events.jsonl").open("ab") as other:
        other.write(b'{"time": 2, "ki')
    log.append(Event(3, Kind.NOTE))
    log.close()
    assert list(read_lines(tmp_path / "events.jsonl")) == [Event(1, Kind.NOTE), None, Event(3, Kind.NOTE)]
