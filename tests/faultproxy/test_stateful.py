"""Random API calls and traffic against a model: no lost byte, no hang, no stray state."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from harness.faultproxy.kernel_pipe import MOST_SPARE_DESCRIPTORS

NAMES = st.sampled_from(["a", "a", "b", "none"])
STREAMS = st.sampled_from(["upstream", "downstream"])
HARMLESS = st.sampled_from(
    [
        ("latency", {"latency": 1, "jitter": 1}),
        ("latency", {"latency": 0}),
        ("bandwidth", {"rate": 100_000}),
        ("slicer", {"average_size": 50, "size_variation": 10, "delay": 1}),
        ("slow_close", {"delay": 2}),
        ("limit_data", {"bytes": 10**9}),
        ("noop", {}),
    ]
)
TOXICITIES = st.sampled_from([0, 0.5, 1, 1])
SIZES = st.sampled_from([1, 40, 1000, 32 * 1024, 32 * 1024 + 1, 200_000])
HOSTILE = st.sampled_from([-1, 2**80, 1.5, "9", None, [], {}, True])


def machine(api, make_link, close_wires):
    class Machine(RuleBasedStateMachine):
        wires = Bundle("wires")

        @initialize()
        def clean(self):
            close_wires()
            for name in api.get("/proxies").json:
                api.delete(f"/proxies/{name}")
            self.toxics, self.enabled, self.links = {}, {}, {}
            for name in ("a", "b"):
                self.create(name)

        def create(self, name):
            self.links[name] = make_link(name)
            self.toxics[name], self.enabled[name] = {}, True

        @rule(name=NAMES)
        def create_again(self, name):
            if name in self.links:
                body = {"name": name, "listen": "127.0.0.1:0", "upstream": "localhost:1"}
                assert api.post("/proxies", body).status == 409

        @rule(name=NAMES)
        def delete_and_create(self, name):
            assert api.delete(f"/proxies/{name}").status == (204 if name in self.links else 404)
            if self.links.pop(name, None):
                self.create(name)

        @rule(name=NAMES, enabled=st.booleans())
        def switch(self, name, enabled):
            reply = api.patch(f"/proxies/{name}", {"enabled": enabled})
            assert reply.status == (200 if name in self.links else 404)
            if name in self.links:
                self.enabled[name] = enabled

        @rule(name=NAMES, toxic=HARMLESS, stream=STREAMS, toxicity=TOXICITIES)
        def add(self, name, toxic, stream, toxicity):
            kind, attributes = toxic
            body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
            known = self.toxics.get(name, {})
            expected = 404 if name not in self.links else 409 if f"{kind}_{stream}" in known else 200
            assert api.post(f"/proxies/{name}/toxics", body).status == expected
            if expected == 200:
                known[f"{kind}_{stream}"] = toxicity

        @rule(name=NAMES, toxic=HARMLESS, stream=STREAMS, toxicity=TOXICITIES)
        def update(self, name, toxic, stream, toxicity):
            kind, attributes = toxic
            key = f"{kind}_{stream}"
            reply = api.patch(f"/proxies/{name}/toxics/{key}", {"toxicity": toxicity, "attributes": attributes})
            exists = key in self.toxics.get(name, {})
            assert reply.status == (200 if exists else 404)
            if exists:
                self.toxics[name][key] = toxicity

        @rule(name=NAMES, toxic=HARMLESS, stream=STREAMS)
        def remove(self, name, toxic, stream):
            key = f"{toxic[0]}_{stream}"
            exists = self.toxics.get(name, {}).pop(key, None) is not None
            assert api.delete(f"/proxies/{name}/toxics/{key}").status == (204 if exists else 404)

        @rule(name=NAMES, kind=st.sampled_from(["latency", "slicer", "timeout"]), value=HOSTILE)
        def attack(self, name, kind, value):
            attributes = dict.fromkeys(("latency", "jitter", "average_size", "delay", "timeout"), value)
            reply = api.post(f"/proxies/{name}/toxics", {"name": "hostile", "type": kind, "attributes": attributes})
            if reply.status == 200:  # null means the default, and the default of a timeout drops data
                assert api.delete(f"/proxies/{name}/toxics/hostile").status == 204
                close_wires()
            else:
                assert reply.status == (400 if name in self.links else 404)

        @rule()
        def reset(self):
            assert api.post("/reset").status == 204
            for name in self.links:
                self.toxics[name], self.enabled[name] = {}, True

        @rule(
            target=wires,
            name=st.sampled_from(["a", "b"]),
            toxics=st.lists(st.tuples(HARMLESS, STREAMS, TOXICITIES), max_size=4),
            size=SIZES,
        )
        def open_and_talk(self, name, toxics, size):
            """On a connection that nothing has closed every byte arrives, whatever toxics there are."""
            self.switch(name, enabled=True)
            for toxic, stream, toxicity in toxics:
                self.add(name, toxic, stream, toxicity)
            client, server = self.links[name].open()
            data = os.urandom(size)
            for sender, receiver in ((client, server), (server, client)):
                sender.send(data)
                assert receiver.read(size) == data
            return name, client, server

        @rule(wire=wires, size=SIZES)
        def talk(self, wire, size):
            """Bytes arrive whole, unless this wire was closed by a rule before; then nothing false arrives."""
            _, client, server = wire
            data = os.urandom(size)
            for sender, receiver in ((client, server), (server, client)):
                try:
                    sender.send(data)
                    received = receiver.read(size)
                except TimeoutError:
                    raise AssertionError("hangs") from None
                except OSError:
                    return
                assert received == data[: len(received)]
                assert len(received) == size or not self._is_open(wire)

        @rule(wire=consumes(wires), how=st.sampled_from(["half_close", "reset", "close"]))
        def hang_up(self, wire, how):
            _, client, server = wire
            with suppress(OSError):
                getattr(client, how)()
                server.ending()
            server.close()
            client.close()

        def _is_open(self, wire):
            name = wire[0]
            return name in self.links and self.enabled[name] and wire[1].raw.fileno() >= 0 and self._answers(wire)

        def _answers(self, wire):
            try:
                wire[1].send(b"?")
                return wire[2].read(1) == b"?"
            except OSError:
                return False

        @invariant()
        def model_matches(self):
            shown = api.get("/proxies").json
            assert {name: proxy["enabled"] for name, proxy in shown.items()} == self.enabled
            for name, proxy in shown.items():
                assert {toxic["name"]: toxic["toxicity"] for toxic in proxy["toxics"]} == self.toxics[name]

    return Machine


@pytest.mark.embedded
def test_random_calls_and_traffic(start_server, make_link):
    server = start_server("--seed", "1")
    api, links = server.api, []
    descriptors_before = count_descriptors(server)

    def make(name):
        links.append(make_link(name, api))
        return links[-1]

    def close_wires():
        for link in links:
            link.close_wires()

    run_state_machine_as_test(
        machine(api, make, close_wires),
        settings=settings(
            max_examples=int(os.environ.get("FAULTPROXY_EXAMPLES", "40")),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    close_wires()
    for name in api.get("/proxies").json:
        api.delete(f"/proxies/{name}")
    give_up = time.monotonic() + 20  # the last sockets close when their peers' ends have been read
    most = descriptors_before + MOST_SPARE_DESCRIPTORS
    while count_descriptors(server) > most and time.monotonic() < give_up:
        time.sleep(0.05)
    assert count_descriptors(server) <= most


def count_descriptors(server):
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
