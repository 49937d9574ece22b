"""Files of a recording are written where they belong and nowhere else, and read without waiting for anybody."""

import os
import stat

import pytest

from harness.load.job import LoadJob
from harness.recording.columns import Table
from harness.recording.files import NotRegularError, aside_of, make_run_folder, read_bytes, replace_with, write_new
from harness.recording.writer import EventLog, SegmentWriter, write_json
from tests.load.jobs import job_of


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_not_written_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("verdict.json", aside_of(tmp_path / "verdict.json").name, "verdict.partial"):
        (tmp_path / name).symlink_to(victim)
    write_json(tmp_path / "verdict.json", {"status": "pass"})
    assert victim.read_text() == "mine"
    assert not (tmp_path / "verdict.json").is_symlink()


def test_events_are_not_appended_through_a_link(tmp_path):
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(NotRegularError):
        EventLog(tmp_path)
    assert not (tmp_path / "victim").exists()


def test_events_are_not_appended_to_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="regular"):
        EventLog(tmp_path)


def test_a_segment_is_not_written_through_a_link(tmp_path):
    writer = SegmentWriter(tmp_path, Table.METRICS, source="host")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    aside_of(tmp_path / "metrics" / "host-00000.parquet").symlink_to(victim)
    writer.append((1, "orders", "up", "{}", 1.0))
    writer.flush()
    assert victim.read_text() == "mine"
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["host-00000.parquet"]


def test_what_exists_is_not_written_over(tmp_path):
    (tmp_path / "there").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "there", b"x")
    assert not (tmp_path / "nowhere").exists()


def test_a_failed_replacement_leaves_what_was_there(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(OSError, match="here"):
        replace_with(tmp_path / "here", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_read(device, tmp_path):
    (tmp_path / "events.jsonl").symlink_to(device)
    with pytest.raises(NotRegularError):
        read_bytes(tmp_path / "events.jsonl")


@pytest.mark.parametrize(("share", "mode"), [(False, 0o700), (True, 0o755)])
def test_a_run_belongs_to_its_user_unless_it_is_shared(tmp_path, share, mode):
    before = os.umask(0o077 if share else 0)
    try:
        make_run_folder(tmp_path / "runs" / "one", share=share)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "runs" / "one") == mode


def test_the_load_is_told_secrets_in_a_private_file_that_it_deletes(tmp_path):
    job, path = job_of(tmp_path), tmp_path / "load.json"
    job.write(path)
    assert mode_of(path) == 0o600
    assert LoadJob.take(path) == job
    assert not path.exists()
