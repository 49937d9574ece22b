"""Random API calls and traffic against a model: no lost byte, no hang, no stray state, no descriptor left.

A few seconds in the normal suite; `--soak-minutes 10` (or FAULTPROXY_SOAK_MINUTES) goes on for so long.
"""

import os
import select
import socket
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
HOLDING = st.sampled_from(
    [
        ("latency", {"latency": 86_400_000}),
        ("bandwidth", {"rate": 0}),
        ("slow_close", {"delay": 86_400_000}),
        ("reset_peer", {"timeout": 86_400_000}),
    ]
)
ACTIONS = st.sampled_from(
    [
        {"type": "delay", "latency_s": 3600},
        {"type": "hang"},
        {"type": "slow_body", "rate": 1},
        {"type": "truncate", "bytes": 0},
    ]
)
MUCH = os.urandom(3_000_000)
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

        @rule(wire=wires, size=SIZES, toxic=HOLDING, stream=STREAMS)
        def hold_and_release(self, wire, size, toxic, stream):
            """What a toxic held arrives when it is removed."""
            if not self._is_open(wire):
                return
            name, client, server = wire
            sender, receiver = (client, server) if stream == "upstream" else (server, client)
            body = {"name": "holding", "type": toxic[0], "stream": stream, "attributes": toxic[1]}
            assert api.post(f"/proxies/{name}/toxics", body).status == 200
            data = os.urandom(size)
            sent = self._push(sender, data)
            assert api.delete(f"/proxies/{name}/toxics/holding").status == 204
            assert receiver.read(sent) == data[:sent]

        @rule(wire=wires, stream=STREAMS, toxic=HARMLESS)
        def stall(self, wire, stream, toxic):
            """A peer that does not read holds nobody up, and gets everything when it reads at last."""
            if not self._is_open(wire):
                return
            name, client, server = wire
            sender, receiver = (client, server) if stream == "upstream" else (server, client)
            sent = self._push(sender, MUCH)
            self.add(name, toxic, stream, 1)
            self.update(name, toxic, stream, 0)
            self.remove(name, toxic, stream)
            assert receiver.read(sent) == MUCH[:sent]

        def _push(self, sender, data):
            """Send what is taken without anybody reading; return how much that was."""
            sender.raw.setblocking(False)
            sent = 0
            while sent < len(data) and select.select([], [sender.raw], [], 0.02)[1]:
                sent += sender.raw.send(data[sent : sent + 100_000])
            sender.raw.settimeout(20)
            return sent

        @rule(name=NAMES, protocol=st.sampled_from(["tcp", "http", "https", "smtp"]))
        def look_into(self, name, protocol):
            """Connections from now on are framed or not; bytes that are no HTTP must not notice."""
            status = api.call("PUT", f"/harness/links/{name}", {"protocol": protocol}).status
            assert status == (404 if name not in self.links else 400 if protocol == "smtp" else 200)

        @rule(name=st.sampled_from(["a", "b"]), action=ACTIONS, sizes=st.tuples(SIZES, SIZES), spared=st.booleans())
        def ask(self, name, action, sizes, spared):
            """A request that a rule spares, or that its removal sets free, arrives whole, and so does its reply."""
            self.switch(name, enabled=True)
            assert api.call("PUT", f"/harness/links/{name}", {"protocol": "http"}).status == 200
            body = {"name": "rule", "proxy": name, "scope": {"method": "GET" if spared else "POST"}, "action": action}
            assert api.post("/harness/rules", body).status == 201
            client, server = self.links[name].open()
            request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % sizes[0] + os.urandom(sizes[0])
            reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % sizes[1] + os.urandom(sizes[1])
            sent = self._push(client, request)
            if not spared:
                assert api.delete("/harness/rules/rule").status == 204
            client.send(request[sent:])
            assert server.read(len(request)) == request
            server.send(reply)
            assert client.read(len(reply)) == reply
            if spared:
                assert api.delete("/harness/rules/rule").status == 204
            client.close()
            server.close()

        @rule(name=NAMES, action=ACTIONS, value=HOSTILE)
        def attack_rules(self, name, action, value):
            for hostile in ({**action, "latency_s": value}, {"type": value}, value):
                reply = api.post("/harness/rules", {"name": "hostile", "proxy": name, "action": hostile})
                assert reply.status in (201, 400, 404, 409)
                api.delete("/harness/rules/hostile")

        @rule(wire=consumes(wires), size=SIZES)
        def talk_half_closed(self, wire, size):
            """The other direction lives on behind an end of the stream."""
            if not self._is_open(wire):
                return
            _, client, server = wire
            client.half_close()
            assert server.read_all() == b""
            data = os.urandom(size)
            server.send(data)
            server.close()
            assert client.read_all() == data

        @rule(name=st.sampled_from(["a", "b"]), count=st.integers(1, 30), rude=st.booleans())
        def come_and_go(self, name, count, rude):
            """Clients that leave at once, some with a reset, leave nothing behind."""
            self.switch(name, enabled=True)
            for _ in range(count):
                client = self.links[name].dial()
                (client.reset if rude else client.close)()
            server = self.links[name].listener
            while select.select([server], [], [], 0.02)[0]:
                server.accept()[0].close()

        @rule(name=NAMES, moved=st.booleans())
        def populate(self, name, moved):
            """A proxy that matches is kept, one with another upstream is replaced."""
            if name not in self.links:
                return
            link = self.links[name]
            body = {"name": name, "listen": link.listen, "upstream": "127.0.0.1:1" if moved else link.upstream}
            assert api.post("/populate", [body]).status == 201
            if moved:
                assert api.post("/populate", [{**body, "upstream": link.upstream}]).status == 201
                self.toxics[name], self.enabled[name] = {}, True

        @rule()
        def dead_upstream(self):
            """Nobody listens there: the client is told, and that is all."""
            body = {"name": "dead", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
            host, _, port = api.post("/proxies", body).json["listen"].rpartition(":")
            with socket.create_connection((host, int(port)), 20) as client, suppress(ConnectionResetError):
                assert client.recv(1) == b""
            assert api.delete("/proxies/dead").status == 204

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
def test_random_calls_and_traffic(start_server, make_link, pytestconfig):
    server = start_server("--seed", "1")
    api, links = server.api, []
    descriptors_before = count_descriptors(server)
    over_s = time.monotonic() + 60 * pytestconfig.getoption("soak_minutes", default=0)

    def make(name):
        links.append(make_link(name, api))
        return links[-1]

    def close_wires():
        for link in links:
            link.close_wires()

    rounds = 0
    while not rounds or time.monotonic() < over_s:
        run_state_machine_as_test(
            machine(api, make, close_wires),
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        rounds += 1
        close_wires()
        for link in links:
            link.listener.close()
        links.clear()
        for name in api.get("/proxies").json:
            api.delete(f"/proxies/{name}")
        most = descriptors_before + MOST_SPARE_DESCRIPTORS
        give_up_s = time.monotonic() + 20  # the last sockets close when their peers' ends have been read
        while count_descriptors(server) > most and time.monotonic() < give_up_s:
            time.sleep(0.05)
        assert count_descriptors(server) <= most
    print(f"{rounds} rounds of 20 runs with 30 steps each")


def count_descriptors(server):
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
