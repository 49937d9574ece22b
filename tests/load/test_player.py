"""Playing arrivals with a fake clock and without a network."""

import json

import pytest

from harness.load.answer import Answer
from harness.load.arrivals import Arrival
from harness.load.job import LoadJob
from harness.load.player import Player
from harness.load.recorder import Recorder
from harness.load.tally import Tally
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from tests.load.fake_clock import START_NS
from tests.load.jobs import job_of
from tests.load.running import rows


@pytest.fixture
def recorder(tmp_path, clock):
    sinks = {table.value: RowSink(tmp_path, table, source="test") for table in (Table.REQUESTS, Table.LEDGER)}
    return Recorder(**sinks, tally=Tally(), clock=clock)


def written(recorder, tmp_path, table):
    sink = recorder.requests if table is Table.REQUESTS else recorder.ledger
    assert sink.write(sink.take()) is None
    return rows(tmp_path, table)


def test_a_job_survives_its_file(tmp_path):
    job = job_of(tmp_path)
    job.write(tmp_path / "job.json")
    assert LoadJob.read(tmp_path / "job.json") == job


def test_later_steps_are_due_at_the_end_of_the_one_before(tmp_path, clock, recorder):
    def send(_request):
        clock.pass_ms(30)
        return Answer(200)

    player = Player(job_of(tmp_path), clock=clock, recorder=recorder, token_of=lambda _tenant: "t")
    clock.pass_ms(15)
    player.play(Arrival(5 * NS_PER_MS, "acme", "journey", 0), send)
    found = written(recorder, tmp_path, Table.REQUESTS)
    at = [START_NS + ms * NS_PER_MS for ms in (5, 15, 45, 75, 105)]
    assert list(zip(found.intended_start, found.start, found.end, strict=True)) == [
        (at[0], at[1], at[2]),
        (at[2], at[2], at[3]),
        (at[3], at[3], at[4]),
    ]
    assert recorder.tally.in_flight == 0


def test_an_arrival_that_comes_to_its_turn_too_late_is_dropped(tmp_path, clock, recorder):
    player = Player(job_of(tmp_path), clock=clock, recorder=recorder, token_of=lambda _tenant: "")
    clock.pass_ms(2001)
    player.play(Arrival(0, "acme", "journey", 0), lambda _request: pytest.fail("sent"))
    found = written(recorder, tmp_path, Table.REQUESTS)
    assert list(zip(found.outcome, found.step, found.start, found.end, strict=True)) == [
        ("dropped", "first", 0, START_NS + 2 * NS_PER_S)
    ]
    assert (recorder.tally.sent, recorder.tally.dropped) == (0, 1)


def test_a_write_goes_out_as_its_step_says(tmp_path, clock, recorder):
    sent = []

    def send(request):
        sent.append(request)
        return Answer(503)

    player = Player(job_of(tmp_path), clock=clock, recorder=recorder, token_of=lambda _tenant: "t0")
    player.play(Arrival(0, "acme", "buy", 4), send)
    (request,) = sent
    headers = dict(request.headers)
    trace_id = headers.pop("traceparent").split("-")[1]
    body = json.loads(request.body)
    assert (request.method, request.path, request.timeout_s) == ("POST", "/orders", 0.5)
    assert headers == {
        "Authorization": "Bearer t0",
        "Content-Type": "application/json",
        "Idempotency-Key": "acme-buy-4-abc",
    }
    assert body["quantity"] == 2
    history = written(recorder, tmp_path, Table.LEDGER)
    assert list(zip(history.type, history.key, strict=True)) == [
        ("invoke", "acme-buy-4-abc"),
        ("unknown", "acme-buy-4-abc"),
    ]
    assert {trace.hex() for trace in history.trace_id} == {trace_id}


def test_the_same_arrival_asks_for_the_same_things_whatever_came_before(tmp_path, clock, recorder):
    bodies = []
    for others in (0, 3):
        player = Player(job_of(tmp_path), clock=clock, recorder=recorder, token_of=lambda _tenant: "")
        for number in (*range(others), 7):
            player.play(Arrival(0, "acme", "buy", number), lambda r: bodies.append(r.body) or Answer(201))
    assert bodies[0] == bodies[-1]
