"""A control call never waits for the data path, other connections are served meanwhile, and much data stays whole."""

import random
import socket
import time
from pathlib import Path

import pytest

from harness.faultproxy.kernel_pipe import MOST_SPARE_DESCRIPTORS

DAY_MS = 86_400_000
BLOB = random.Random(2).randbytes(6_000_000)


def client_does_not_read(link, api):
    _, server = link.open()
    server.fill(BLOB)


def nobody_reads(link, api):
    client, server = link.open()
    server.fill(BLOB)
    client.fill(BLOB)


def latency_is_full(link, api):
    link.add("latency", latency=DAY_MS)
    _, server = link.open()
    server.fill(BLOB)


def line_carries_nothing(link, api):
    link.add("bandwidth", rate=0)
    _, server = link.open()
    server.fill(BLOB)


def reset_sleeps(link, api):
    link.add("reset_peer", timeout=DAY_MS)
    _, server = link.open()
    server.send(b"x")


def close_sleeps(link, api):
    link.add("slow_close", delay=DAY_MS)
    _, server = link.open()
    server.send(b"x")
    server.close()


def slicer_crawls(link, api):
    link.add("slicer", average_size=1, size_variation=0, delay=DAY_MS)
    _, server = link.open()
    server.send(BLOB[:10_000])


def dial_hangs(link, api):
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    for _ in range(8):  # more than its queue takes: who comes now waits
        caller = socket.socket()
        caller.setblocking(False)
        caller.connect_ex(full.getsockname())
        link._keep(caller)
    api.patch(link.path, {"upstream": f"127.0.0.1:{full.getsockname()[1]}"})
    link._keep(full)
    link.dial().send(b"x")


STALLS = [
    client_does_not_read,
    nobody_reads,
    latency_is_full,
    line_carries_nothing,
    reset_sleeps,
    close_sleeps,
    slicer_crawls,
    dial_hangs,
]


@pytest.mark.better_than_toxiproxy("removal, update and reset wait for the data path, some for ever")
@pytest.mark.parametrize("stall", STALLS)
def test_every_control_call_answers_beside_a_stalled_connection(stall, make_link, api):
    link, other = make_link("stalled"), make_link("other")
    stall(link, api)
    client, server = other.open()
    toxic = {"name": "t", "type": "latency", "attributes": {"latency": DAY_MS}}
    calls = [
        ("GET", "/proxies", None, 200),
        ("POST", f"{link.path}/toxics", toxic, 200),
        ("PATCH", f"{link.path}/toxics/t", {"attributes": {"latency": 1}}, 200),
        ("GET", f"{link.path}/toxics", None, 200),
        ("DELETE", f"{link.path}/toxics/t", None, 204),
        ("POST", f"{link.path}/toxics", {**toxic, "stream": "upstream"}, 200),
        ("POST", "/reset", None, 204),
        ("PATCH", link.path, {"enabled": False}, 200),
        ("PATCH", link.path, {"enabled": True}, 200),
        ("POST", "/populate", [{"name": "stalled", "listen": link.listen, "upstream": link.upstream}], 201),
        ("GET", "/metrics", None, 200),
        ("DELETE", link.path, None, 204),
    ]
    for method, path, body, status in calls:
        assert (method, path, api.call(method, path, body).status) == (method, path, status)
        client.send(b"x")
        assert server.read(1) == b"x"


@pytest.mark.better_than_toxiproxy("it stops behind the first proxy whose removal hangs")
def test_reset_frees_every_proxy_beside_a_stalled_one(make_link, api):
    links = [make_link(name) for name in "abc"]
    for link in links:
        link.add("latency", latency=DAY_MS)
    pairs = [link.open() for link in links]
    pairs[0][1].fill(BLOB)
    for _, server in pairs[1:]:
        server.send(b"held")
    assert api.post("/reset").status == 204
    assert [client.read(4) for client, _ in pairs[1:]] == [b"held", b"held"]


def test_much_data_for_a_slow_reader_arrives_whole(link):
    client, server = link.open()
    server.raw.setblocking(False)
    sent, received = 0, bytearray()
    while sent < len(BLOB):
        try:
            sent += server.raw.send(BLOB[sent : sent + 700_000])
        except BlockingIOError:
            received += client.raw.recv(300_000)
    received += client.read(sent - len(received))
    assert bytes(received) == BLOB
    client.send(b"and back")
    server.raw.settimeout(20)
    assert server.read(8) == b"and back"


def test_toxics_that_come_amid_much_data_keep_the_order(link, api):
    client, server = link.open()
    server.raw.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += server.raw.send(BLOB[sent : sent + 100_000])
        except BlockingIOError:
            break
    path = link.add("slicer", average_size=20_000, size_variation=100, delay=0)
    link.add("latency", latency=0)
    server.raw.settimeout(20)
    assert client.read(sent) == BLOB[:sent]
    for word in (b"later", b"last!"):
        server.send(word)
        assert client.read(5) == word
        api.delete(path)


def test_a_latency_raised_from_zero_holds_what_comes_next(link, api):
    path = link.add("latency", latency=0)
    client, server = link.open()
    server.send(BLOB[:500_000])
    assert client.read(500_000) == BLOB[:500_000]
    api.patch(path, {"attributes": {"latency": DAY_MS}})
    server.send(b"held")
    assert client.is_silent()
    assert api.delete(path).status == 204
    assert client.read(4) == b"held"


def test_slow_close_that_data_bypasses_still_holds_the_end(link, api):
    path = link.add("slow_close", delay=DAY_MS)
    client, server = link.open()
    server.send(BLOB[:100_000])
    server.close()
    assert client.read(100_000) == BLOB[:100_000]
    assert client.is_silent()
    assert api.delete(path).status == 204
    assert client.ending() == "FIN"


def test_a_limit_between_toxics_that_pass_everything_still_counts(link):
    link.add("latency", latency=0)
    link.add("limit_data", bytes=10_000)
    link.add("noop")
    client, server = link.open()
    server.send(BLOB[:20_000])
    assert client.read_all() == BLOB[:10_000]


@pytest.mark.embedded
def test_resets_amid_much_data_leave_no_descriptor_but_the_spare_ones(start_server, make_link):
    server = start_server()
    link = make_link("a", server.api)
    folder = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(folder.iterdir()))
    for _ in range(12):
        client, upstream = link.open()
        upstream.fill(BLOB)
        client.reset()
        assert upstream.ending() == "RST"
    give_up_s = time.monotonic() + 20
    while len(list(folder.iterdir())) > before + MOST_SPARE_DESCRIPTORS:
        assert time.monotonic() < give_up_s, "descriptors were left behind"
        time.sleep(0.02)
