"""The run folder while it is written."""

import asyncio
from itertools import pairwise
from pathlib import Path

from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.events import Kind
from harness.recording.manifest import read_manifest
from harness.recording.reader import Recording
from harness.runner.planning import make_plan
from harness.runner.session import Session

PLAN = make_plan("payment-provider-hang", target=None, seed=3, quick=True, without=[])


def in_loop(act):
    async def run():
        return act()

    return asyncio.run(run())


def test_a_session_that_is_not_closed_reads_as_a_run_without_an_end(tmp_path):
    session = in_loop(lambda: Session(PLAN, runs=tmp_path, command=["harness"]))
    manifest = read_manifest(session.path)
    assert (manifest.how, manifest.windows, manifest.plan.scenario) == (None, [], PLAN.scenario)
    assert {name: tenant.secret for name, tenant in manifest.plan.target.tenants.items()} == dict.fromkeys(
        PLAN.target.tenants, "[secret]"
    )


def test_closing_writes_how_it_ended_and_the_checksum_of_every_file(tmp_path):
    def act():
        session = Session(PLAN, runs=tmp_path, command=["harness", "run"])
        (session.path / "logs-raw").mkdir()
        (session.path / "logs-raw" / "a.log").write_text("hello\n")
        session.close(How.INTERRUPTED, "SIGINT")
        return session

    manifest = read_manifest(in_loop(act).path)
    assert (manifest.how, manifest.cause) == (How.INTERRUPTED, "SIGINT")
    assert set(manifest.files) == {"events.jsonl", "logs-raw/a.log"}


def test_phase_windows_join_without_gaps(tmp_path):
    session = in_loop(lambda: Session(PLAN, runs=tmp_path, command=["harness"]))
    session.set_load_start(1_000)
    windows = read_manifest(session.path).windows
    assert [w.phase for w in windows] == list(Phase)
    assert windows[0].start_ns == 1_000
    assert all(before.end_ns == after.start_ns for before, after in pairwise(windows))


def test_a_full_disk_is_remembered_and_does_not_stop_the_listeners(tmp_path):
    heard = []

    async def run(full):
        session = Session(PLAN, runs=tmp_path, command=["harness"], listeners=[heard.append])
        session._log._file = full
        session.note(Kind.NOTE, text="the disk is full now")
        await asyncio.wait_for(session.disk_failed.wait(), 5)
        session.close(How.FAILED, "the disk is full")
        return session

    full = Path("/dev/full").open("a", buffering=1)  # noqa: SIM115 - it cannot be closed: closing flushes
    session = asyncio.run(run(full))
    assert session.disk_error is not None
    assert [event.kind for event in heard] == [Kind.RUN_STARTED, Kind.NOTE, Kind.RUN_ENDED]


def test_the_recording_of_a_session_holds_its_events(tmp_path):
    def act():
        session = Session(PLAN, runs=tmp_path, command=["harness"])
        session.note(Kind.NOTE, text="one")
        session.close(How.COMPLETED, None)
        return session

    kinds = [event.kind for event in Recording(in_loop(act).path).events]
    assert kinds == [Kind.RUN_STARTED, Kind.NOTE, Kind.RUN_ENDED]
