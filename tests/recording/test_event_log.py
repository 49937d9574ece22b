"""events.jsonl has more than one writer, and any of them may be killed."""

import json

from harness.model.run.events import Event, Kind
from harness.recording.event_log import EventLog


def test_a_line_that_a_killed_writer_left_unfinished_spoils_only_itself(tmp_path):
    (tmp_path / "events.jsonl").write_text('{"time": 1, "kind": "note"}\n{"time": 2, "ki')
    log = EventLog(tmp_path)
    log.append(Event(3, Kind.NOTE, {"text": "from the reaper"}))
    log.close()
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert lines[1] == '{"time": 2, "ki'
    assert json.loads(lines[2]) == {"time": 3, "kind": "note", "text": "from the reaper"}
