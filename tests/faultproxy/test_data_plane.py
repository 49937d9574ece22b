"""Bytes, closes and resets through a proxy, without and with toxics.

Toxics are told apart by what they hold back, not by the clock: a delay of a day holds until its removal.
"""

import random
import socket
import threading

import pytest

DAY_MS = 86_400_000
BLOB = random.Random(1).randbytes(3_000_000)


def send_in_background(wire, data, *, then_half_close=True):
    def run():
        wire.send(data)
        if then_half_close:
            wire.half_close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


# -- without toxics ---


def test_bytes_are_exact_both_ways_at_once(link):
    client, server = link.open()
    threads = [send_in_background(client, BLOB), send_in_background(server, BLOB[::-1])]
    received = []
    reader = threading.Thread(target=lambda: received.append(client.read_all()))
    reader.start()
    assert server.read_all() == BLOB
    reader.join()
    assert received == [BLOB[::-1]]
    for thread in threads:
        thread.join()


@pytest.mark.better_than_toxiproxy("it closes both directions")
def test_half_close_is_kept(link):
    client, server = link.open()
    client.send(b"request")
    client.half_close()
    assert server.read_all() == b"request"
    server.send(b"response after the request ended")
    server.half_close()
    assert client.read_all() == b"response after the request ended"


@pytest.mark.better_than_toxiproxy("it closes both directions")
def test_half_close_of_the_server_is_kept(link):
    client, server = link.open()
    server.send(b"banner")
    server.half_close()
    assert client.read_all() == b"banner"
    client.send(b"late word")
    client.half_close()
    assert server.read_all() == b"late word"


@pytest.mark.better_than_toxiproxy("the other side sees an orderly end")
@pytest.mark.parametrize("who", ["client", "server"])
def test_reset_passes_as_reset(link, who):
    client, server = link.open()
    client.send(b"?")
    assert server.read(1) == b"?"  # now the proxy's own dial is over: a reset during it is a dial that failed
    breaking, other = (client, server) if who == "client" else (server, client)
    breaking.reset()
    assert other.ending() == "RST"


@pytest.mark.better_than_toxiproxy("the answer can be lost")
def test_answer_before_a_reset_still_arrives(link):
    """A server that refuses an upload answers, then resets because of the bytes it did not read."""
    client, server = link.open()
    client.send(b"x" * 100_000)
    assert server.read(1) == b"x"
    server.send(b"413")
    server.close()
    assert client.read(3) == b"413"
    assert client.ending() == "RST"


@pytest.mark.better_than_toxiproxy("the answer can be lost")
def test_answer_to_an_upload_that_is_still_under_way_arrives_before_the_reset(link):
    client, server = link.open()
    client.fill(BLOB)
    server.send(b"413")
    server.close()
    assert client.read(3) == b"413"
    assert client.ending() == "RST"


def test_full_close_reaches_the_other_side(link):
    client, server = link.open()
    server.send(b"bye")
    server.close()
    assert client.read_all() == b"bye"


def test_unreachable_upstream_closes_the_client(link, api, free_port):
    api.patch(link.path, {"upstream": f"127.0.0.1:{free_port}"})
    assert link.dial().ending() == "FIN"


def test_unknown_upstream_host_closes_the_client(link, api):
    api.patch(link.path, {"upstream": "no.such.host.invalid:80"})
    assert link.dial().ending() == "FIN"


def test_upstream_may_be_a_host_name(link, api):
    api.patch(link.path, {"upstream": link.upstream.replace("127.0.0.1", "localhost")})
    client, server = link.open()
    client.send(b"by name")
    assert server.read(7) == b"by name"


def test_a_peer_that_does_not_read_stops_nobody_else(link, api):
    client, _ = link.open()
    client.fill(BLOB)
    link.add("latency", stream="upstream", latency=DAY_MS)
    other_client, other_server = link.open()
    other_server.send(b"alive")
    assert other_client.read(5) == b"alive"
    assert api.delete(f"{link.path}/toxics/latency_upstream").status == 204
    assert api.patch(link.path, {"enabled": False}).status == 200


def test_hundreds_of_connections_are_held_at_once(link):
    pairs = [link.open() for _ in range(300)]
    for number, (client, _) in enumerate(pairs):
        client.send(b"%06d" % number)
    assert [server.read(6) for _, server in pairs] == [b"%06d" % number for number in range(300)]


# -- latency ---


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_holds_one_direction_of_an_open_connection_until_removal(link, api, stream):
    client, server = link.open()
    slow, fast = (client, server) if stream == "upstream" else (server, client)
    path = link.add("latency", stream=stream, latency=DAY_MS)
    slow.send(b"held")
    fast.send(b"free")
    assert slow.read(4) == b"free"
    assert fast.is_silent()
    assert api.delete(path).status == 204
    assert fast.read(4) == b"held"


def test_latency_keeps_order_and_bytes(link):
    link.add("latency", latency=5, jitter=5)
    client, server = link.open()
    send_in_background(server, BLOB)
    assert client.read_all() == BLOB


def test_latency_holds_the_end_of_the_stream_behind_the_data(link, api):
    path = link.add("latency", latency=DAY_MS)
    client, server = link.open()
    server.send(b"last words")
    server.close()
    assert client.is_silent()
    api.delete(path)
    assert client.read_all() == b"last words"


def test_latency_does_not_delay_an_end_without_data(link):
    link.add("latency", latency=DAY_MS)
    client, server = link.open()
    server.close()
    assert client.ending() == "FIN"


@pytest.mark.better_than_toxiproxy("an update lets go the chunk that it interrupts, whatever the new latency")
def test_lower_latency_frees_what_is_held(link, api):
    path = link.add("latency", latency=DAY_MS)
    client, server = link.open()
    server.send(b"one")
    assert client.is_silent()
    api.patch(path, {"attributes": {"latency": 0}})
    assert client.read(3) == b"one"


def test_reset_of_the_server_frees_what_is_held(link, api):
    link.add("latency", latency=DAY_MS)
    client, server = link.open()
    server.send(b"one")
    api.post("/reset")
    assert client.read(3) == b"one"


def test_toxics_apply_in_order_and_leave_alone(link, api):
    first = link.add("latency", latency=DAY_MS)
    second = link.add("slicer", average_size=2, size_variation=0, delay=0)
    third = link.add("bandwidth", rate=0)
    client, server = link.open()
    server.send(b"through all")
    api.delete(second)
    api.delete(first)
    assert client.is_silent()
    api.delete(third)
    assert client.read(11) == b"through all"


@pytest.mark.better_than_toxiproxy("removal drops chunks that the destination does not take within 5 s")
def test_memory_behind_a_latency_is_bounded_and_nothing_is_lost(link, api):
    path = link.add("latency", stream="upstream", latency=DAY_MS)
    client, server = link.open()
    sent = client.fill(BLOB)
    api.delete(path)
    send_in_background(client, b"the end")
    received = server.read_all()
    assert len(received) == sent + 7
    assert received.endswith(b"the end")


# -- bandwidth ---


def test_bandwidth_zero_holds_until_removal(link, api):
    path = link.add("bandwidth", rate=0)
    client, server = link.open()
    server.send(b"stuck")
    assert client.is_silent()
    assert api.delete(path).status == 204
    assert client.read(5) == b"stuck"


def test_bandwidth_keeps_bytes_and_end(link):
    link.add("bandwidth", stream="upstream", rate=20_000)
    client, server = link.open()
    send_in_background(client, BLOB[:1_000_000])
    assert server.read_all() == BLOB[:1_000_000]


def test_bandwidth_slows_the_sender_down(link):
    """With a byte a millisecond nothing much can have left; the sender must feel that."""
    link.add("bandwidth", stream="upstream", rate=1)
    client, _ = link.open()
    client.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    assert client.fill(BLOB[:4096], most=8_000_000) > 0


# -- slow_close ---


def test_slow_close_passes_data_and_holds_the_end_until_removal(link, api):
    path = link.add("slow_close", delay=DAY_MS)
    client, server = link.open()
    server.send(b"data")
    server.close()
    assert client.read(4) == b"data"
    assert client.is_silent()
    api.delete(path)
    assert client.ending() == "FIN"


def test_slow_close_can_be_shortened(link, api):
    path = link.add("slow_close", delay=DAY_MS)
    client, server = link.open()
    server.close()
    assert client.is_silent()
    api.patch(path, {"attributes": {"delay": 1}})
    assert client.ending() == "FIN"


# -- timeout ---


def test_timeout_drops_data_and_closes_both_sides(link):
    link.add("timeout", timeout=20)
    client, server = link.open()
    server.send(b"lost")
    assert client.read_all() == b""
    assert server.ending() == "FIN"


def test_timeout_closes_a_silent_connection_too(link):
    link.add("timeout", stream="upstream", timeout=20)
    client, server = link.open()
    assert (client.ending(), server.ending()) == ("FIN", "FIN")


def test_timeout_zero_holds_for_ever_and_removal_closes(link, api):
    path = link.add("timeout", timeout=0)
    client, server = link.open()
    server.send(b"lost")
    client.send(b"kept")
    assert server.read(4) == b"kept"
    assert client.is_silent()
    assert api.delete(path).status == 204
    assert (client.ending(), server.ending()) == ("FIN", "FIN")


def test_timeout_reaches_connections_that_are_already_open(link):
    client, server = link.open()
    link.add("timeout", timeout=20)
    assert (client.ending(), server.ending()) == ("FIN", "FIN")


def test_timeout_passes_the_end_of_the_stream(link):
    link.add("timeout", timeout=0)
    client, server = link.open()
    server.close()
    assert client.ending() == "FIN"


# -- reset_peer ---


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_reset_peer_resets_both_sides_at_the_first_chunk(link, stream):
    link.add("reset_peer", stream=stream, timeout=0)
    client, server = link.open()
    (client if stream == "upstream" else server).send(b"trigger")
    assert (client.ending(), server.ending()) == ("RST", "RST")


def test_reset_peer_leaves_a_silent_connection_alone(link):
    link.add("reset_peer", timeout=0)
    client, server = link.open()
    client.send(b"other direction")
    assert server.read(15) == b"other direction"
    assert client.is_silent()


@pytest.mark.better_than_toxiproxy("connections that were open before see an orderly end")
def test_reset_peer_reaches_connections_that_are_already_open(link):
    client, server = link.open()
    link.add("reset_peer", timeout=0)
    server.send(b"trigger")
    assert (client.ending(), server.ending()) == ("RST", "RST")


@pytest.mark.better_than_toxiproxy("the chunk that lit it is lost")
def test_reset_peer_removed_in_time_costs_nothing(link, api):
    path = link.add("reset_peer", timeout=DAY_MS)
    client, server = link.open()
    server.send(b"spared")
    assert client.is_silent()
    assert api.delete(path).status == 204
    assert client.read(6) == b"spared"
    client.send(b"on")
    assert server.read(2) == b"on"


def test_reset_peer_waits_for_the_end_of_the_stream_too(link):
    link.add("reset_peer", timeout=0)
    client, server = link.open()
    server.half_close()
    assert client.ending() == "RST"


# -- slicer, limit_data, down ---


def test_slicer_keeps_bytes_and_end(link):
    link.add("slicer", average_size=500, size_variation=100, delay=0)
    client, server = link.open()
    send_in_background(server, BLOB[:1_000_000])
    assert client.read_all() == BLOB[:1_000_000]


def test_slicer_with_a_long_pause_sends_the_first_slice_only(link, api):
    path = link.add("slicer", average_size=2, size_variation=0, delay=10**9)
    client, server = link.open()
    server.send(b"abcd")
    assert client.read(2) == b"ab"
    assert client.is_silent()
    api.delete(path)
    assert client.read(2) == b"cd"


@pytest.mark.parametrize("limit", [1, 1000, 100_000])
def test_limit_data_passes_so_many_bytes_then_closes_both_sides(link, limit):
    link.add("limit_data", bytes=limit)
    client, server = link.open()
    server.send(BLOB[: limit + 1])
    assert client.read_all() == BLOB[:limit]
    assert server.ending() == "FIN"


def test_limit_data_zero_closes_at_the_first_chunk(link):
    link.add("limit_data", bytes=0)
    client, server = link.open()
    server.send(b"x")
    assert client.read_all() == b""


def test_limit_data_keeps_its_count_over_updates(link, api):
    path = link.add("limit_data", bytes=10)
    client, server = link.open()
    server.send(b"123456")
    assert client.read(6) == b"123456"
    api.patch(path, {"attributes": {"bytes": 8}})
    server.send(b"7890")
    assert client.read_all() == b"78"


def test_limit_data_not_reached_changes_nothing(link):
    link.add("limit_data", bytes=100)
    client, server = link.open()
    server.send(b"x" * 99)
    server.close()
    assert client.read_all() == b"x" * 99


# -- toxicity ---


def test_toxicity_zero_spares_everybody(link):
    link.add("timeout", toxicity=0, timeout=0)
    client, server = link.open()
    server.send(b"spared")
    assert client.read(6) == b"spared"


def test_raised_toxicity_reaches_an_open_connection(link, api):
    path = link.add("timeout", toxicity=0, timeout=0)
    client, server = link.open()
    server.send(b"before")
    assert client.read(6) == b"before"
    api.patch(path, {"toxicity": 1})
    server.send(b"after")
    assert client.is_silent()


@pytest.mark.better_than_toxiproxy("every update tosses the coins of all connections anew")
def test_lowered_toxicity_frees_an_open_connection(link, api):
    path = link.add("latency", latency=DAY_MS)
    client, server = link.open()
    server.send(b"held")
    api.patch(path, {"toxicity": 0})
    assert client.read(4) == b"held"


def test_toxicity_is_one_coin_per_connection(link):
    link.add("limit_data", toxicity=0.5, bytes=0)
    fates = set()
    for _ in range(64):
        client, server = link.open()
        server.send(b"1")
        first = client.read(1)
        if first:
            server.send(b"2")
            assert client.read(1) == b"2"
        fates.add(first)
    assert fates == {b"", b"1"}
