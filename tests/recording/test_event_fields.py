from harness.model.run.events import Event, Kind
from harness.recording.reader import Recording
from harness.recording.writer import EventLog
from tests.report.demo import Demo


def test_fields_called_like_the_keys_of_a_line_survive(tmp_path):
    recording = Demo(tmp_path / "run", until_s=0.0).write()
    applied = Event(1, Kind.FAULT_APPLIED, {"fault": "fault-1", "kind": "latency", "time": 5, "place": "a -> b"})

    log = EventLog(recording.path)
    log.append(applied)
    log.close()

    assert Recording(recording.path).events[0] == applied
