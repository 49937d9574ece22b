"""Poison in a real NATS stream: counted as delivered by the broker, and removed by whoever reads the journal."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import nats
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig

from harness.drivers.ports import free_ports
from harness.faults.kinds.broker_acts import MessagesPublished
from harness.faults.kinds.broker_calls import MARK, matches
from harness.faults.kinds.injector import UNKNOWN, Observed
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import Heard, Somewhere, make, wait_until

SERVER = Path(sys.executable).parent / "nats-server"
pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="nats-server is not installed")
POISON = {"service": "broker", "poison": {"subject": "orders.acme.created", "body": "not json", "count": 3}}


@dataclass
class Broker:
    """A broker with one stream, ORDERS."""

    port: int
    folder: Path
    process: subprocess.Popen | None = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        command = [SERVER, "--addr", "127.0.0.1", "--port", str(self.port), "--jetstream", "--store_dir", self.folder]
        with (self.folder.parent / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def ask(self, question):
        """Let `question(jetstream)` talk to it."""

        async def talk():
            client = await nats.connect(f"nats://{self.address}")
            try:
                return await question(client.jetstream(timeout=5))
            finally:
                await client.close()

        return asyncio.run(talk())

    def messages(self):
        """Return number, body and headers of everything in the stream."""

        async def read(stream):
            state = (await stream.stream_info("ORDERS")).state
            found = []
            for sequence in range(state.first_seq, state.last_seq + 1):
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    message = await stream.get_msg("ORDERS", sequence)
                    found.append((message.seq, message.data, message.headers or {}))
            return found

        return self.ask(read)

    def publish(self, subject, body):
        return self.ask(lambda stream: stream.publish(subject, body)).seq

    def consumer(self, name, **config):
        settings = ConsumerConfig(durable_name=name, ack_policy=AckPolicy.EXPLICIT, ack_wait=0.5, **config)
        self.ask(lambda stream: stream.add_consumer("ORDERS", settings))

    def fetch(self, name, count):
        """Take messages and never acknowledge them."""

        async def take(stream):
            subscription = await stream.pull_subscribe_bind(name, "ORDERS")
            try:
                return [message.data for message in await subscription.fetch(count, timeout=0.7)]
            except nats.errors.TimeoutError:
                return []

        return self.ask(take)


@pytest.fixture
def broker(tmp_path):
    (port,) = free_ports("127.0.0.1", ["broker"]).values()
    running = Broker(port, tmp_path / "store")
    running.start()
    wait_until(lambda: _listens(port), "the broker listens")
    wait_until(lambda: _is_ready(running), "the broker is ready")
    yield running
    running.process.kill()
    running.process.wait()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True


def _is_ready(broker):
    settings = StreamConfig(name="ORDERS", subjects=["orders.>"], discard=DiscardPolicy.OLD)
    with contextlib.suppress(OSError, nats.errors.Error):
        return broker.ask(lambda stream: stream.add_stream(settings))


@pytest.fixture
def safety(tmp_path):
    """A journal without a reaper: these tests undo what they do."""
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    yield safety
    asyncio.run(safety.dismiss())


@pytest.fixture
def inject(broker, safety):
    def injector(**changes):
        places = Somewhere()
        places.base_url = f"http://{broker.address}"
        fault = Fault.model_validate({**POISON, "poison": {**POISON["poison"], **changes}})
        return make(fault, safety=safety, places=places)

    return injector


def journalled(path):
    return [entry.act for entry in outstanding(path) if isinstance(entry.act, MessagesPublished)]


def test_poison_is_in_the_stream_and_gone_afterwards(inject, broker, safety):
    before = broker.publish("orders.acme.created", b"{}")
    injector = inject(headers={"Content-Type": "text/plain"})
    injector.apply()
    (act,) = journalled(safety.journal_path)
    headers = {"Content-Type": "text/plain", MARK: act.mark}
    assert broker.messages()[1:] == [(before + n, b"not json", headers) for n in (1, 2, 3)]
    assert (injector.confirm(), injector.lifted_by()) == (True, "")
    after = broker.publish("orders.acme.created", b"{}")
    assert injector.undo() == ""
    injector.settle()
    assert [sequence for sequence, _, _ in broker.messages()] == [before, after]
    assert journalled(safety.journal_path) == []


def test_it_is_observed_once_it_is_delivered(inject, broker):
    broker.consumer("billing")
    broker.consumer("elsewhere", filter_subject="orders.globex.*")
    injector = inject()
    injector.apply()
    assert injector.observed() == Observed(touched=0, unit="deliveries")
    broker.fetch("billing", 2)
    broker.fetch("elsewhere", 1)
    observed = injector.observed()
    assert (observed.touched, observed.unit) == (2, "deliveries")
    assert observed.first_observed_ns is not None
    assert injector.observed().first_observed_ns == observed.first_observed_ns


def test_what_was_delivered_and_not_digested_is_not_delivered_again_after_the_undo(inject, broker):
    broker.consumer("billing")
    injector = inject()
    injector.apply()
    assert broker.fetch("billing", 3) == [b"not json"] * 3
    assert injector.undo() == ""
    broker.publish("orders.acme.created", b"{}")
    wait_until(lambda: broker.fetch("billing", 1) == [b"{}"], "the next message comes")


def test_undoing_twice_and_before_applying_is_fine(inject):
    injector = inject()
    assert injector.undo() == ""
    injector.apply()
    assert [injector.undo(), injector.undo()] == ["", ""]


def test_a_consumer_that_digests_it_is_no_lifting(inject, broker):
    settings = StreamConfig(name="WORK", subjects=["work"], retention=RetentionPolicy.WORK_QUEUE)
    broker.ask(lambda stream: stream.add_stream(settings))
    injector = inject(subject="work")
    injector.apply()
    broker.ask(lambda stream: stream.purge_stream("WORK"))
    assert (injector.confirm(), injector.lifted_by(), injector.undo()) == (True, "", "")


def test_a_subject_that_no_stream_keeps_is_an_error_before_anything_is_published(inject, safety):
    with pytest.raises(HarnessError, match="no stream keeps the subject 'elsewhere'"):
        inject(subject="elsewhere").apply()
    assert journalled(safety.journal_path) == []


def test_a_broker_that_is_gone_holds_no_poison(inject, broker):
    injector = inject()
    injector.apply()
    broker.process.kill()
    broker.process.wait()
    assert (injector.observed(), injector.undo()) == (UNKNOWN, "")
    with pytest.raises(HarnessError, match="broker does not take"):
        inject().apply()


def test_a_broker_that_comes_back_with_its_streams_is_waited_for(inject, broker):
    injector = inject()
    injector.apply()
    broker.process.kill()
    broker.process.wait()
    back = threading.Timer(0.5, broker.start)
    back.start()
    assert injector.undo() == ""
    back.join()
    assert broker.messages() == []


def test_a_broker_that_hangs_is_not_confirmed_as_clean_and_asked_again(inject, broker):
    injector = inject()
    injector.apply()
    psutil.Process(broker.process.pid).suspend()
    assert injector.undo() != ""
    psutil.Process(broker.process.pid).resume()
    assert injector.undo() == ""
    assert broker.messages() == []


HOLDER = """
import asyncio, pathlib, sys
from harness.model.run.clock import SteadyClock
from harness.model.files.faults import Fault
from harness.faults.safety.safety import Safety
from tests.faults.support import Somewhere, make
async def main():
    safety = Safety(pathlib.Path(sys.argv[1]), run_id="held", lease_s=5.0, emit=lambda event: None, clock=SteadyClock())
    await safety.start()
    places = Somewhere()
    places.base_url = "http://" + sys.argv[2]
    fault = Fault.model_validate({"service": "broker", "poison": {"subject": "orders.acme.created", "count": 3}})
    await asyncio.to_thread(make(fault, safety=safety, places=places).apply)
    print("applied", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_the_reaper_removes_the_poison_of_a_harness_that_was_killed(tmp_path, broker):
    run = tmp_path / "held"
    run.mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run), broker.address], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"applied\n"
    assert len(broker.messages()) == 3
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    wait_until(lambda: not outstanding(run / "undo.jsonl"), "the reaper is done")
    assert broker.messages() == []


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("orders.acme.created", "orders.acme.created", True),
        ("orders.*.created", "orders.acme.created", True),
        ("orders.*", "orders.acme.created", False),
        ("orders.>", "orders.acme.created", True),
        ("orders.acme.created.>", "orders.acme.created", False),
        (">", "orders", True),
        ("orders.acme", "orders", False),
    ],
)
def test_patterns_are_those_of_nats(pattern, subject, covered):
    assert matches(pattern, subject) is covered


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.data())
def test_a_star_in_the_place_of_any_word_still_covers_the_subject(words, data):
    number = data.draw(st.integers(0, len(words) - 1))
    assert matches(".".join([*words[:number], "*", *words[number + 1 :]]), ".".join(words))
