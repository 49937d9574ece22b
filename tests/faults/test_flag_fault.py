"""A flag that is flipped for a while, at a service of another make than ours."""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_faults
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import Heard, Somewhere, make

FLIP = Fault.model_validate({"flag": {"name": "canary", "value": 100}})


@pytest.fixture
def safety(tmp_path):
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    yield safety
    asyncio.run(safety.dismiss())


class Flags(ThreadingHTTPServer):
    """Holds flags, and what was written to it."""

    def __init__(self):
        self.held = {"/flags/canary": 5}
        self.written = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path in self.server.held else 404, {"value": self.server.held.get(self.path)})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.written.append(body)
        self.server.held[self.path] = body["value"]
        self.answer(200, {})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def flags():
    server = Flags()
    yield server
    server.shutdown()
    server.server_close()


def at(flags):
    place = Somewhere()
    place.base_url = f"http://127.0.0.1:{flags.server_port}"
    return place


def test_a_flag_is_flipped_read_and_put_back_with_its_type(safety, flags):
    injector = make(FLIP, safety=safety, places=at(flags))
    injector.apply()
    assert (flags.held, injector.confirm()) == ({"/flags/canary": 100}, True)
    assert (injector.observed().touched, injector.observed().unit) == (1, "flags")
    assert injector.undo() == ""
    assert flags.held == {"/flags/canary": 5}
    assert flags.written == [{"value": 100}, {"value": 5}]


def test_it_is_put_back_from_the_journal_alone(safety, flags):
    make(FLIP, safety=safety, places=at(flags)).apply()
    assert all(undone.confirmed for undone in undo_faults(outstanding(safety.journal_path)))
    assert flags.held == {"/flags/canary": 5}


def test_a_flag_for_one_tenant_names_it(safety, flags):
    flip = Fault.model_validate({"flag": {"name": "canary", "value": True, "tenant": "acme"}})
    make(flip, safety=safety, places=at(flags)).apply()
    assert flags.written == [{"value": True, "tenant": "acme"}]


def test_a_flag_that_does_not_exist_and_a_source_that_is_gone_are_errors(safety, flags):
    with pytest.raises(HarnessError, match=r"flag nothing cannot be set: .*404"):
        make(Fault.model_validate({"flag": {"name": "nothing", "value": 1}}), safety=safety, places=at(flags)).apply()
    gone = Somewhere()
    gone.base_url = "http://127.0.0.1:9"
    with pytest.raises(HarnessError, match="flag canary cannot be set"):
        make(FLIP, safety=safety, places=gone).apply()


def test_a_flag_that_holds_something_else_is_not_what_was_asked_for(safety, flags):
    injector = make(FLIP, safety=safety, places=at(flags))
    injector.apply()
    flags.held["/flags/canary"] = 7
    assert not injector.confirm()
    assert injector.lifted_by() == "somebody"
