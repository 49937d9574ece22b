"""The harness's own paths: observed, links, lease; the seed; the process."""

import json
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

pytestmark = pytest.mark.embedded
HANG_S = 20.0
DAY_MS = 86_400_000
NOTHING_OBSERVED = {"connections": 0, "chunks": 0, "bytes": 0, "first_observed_unix_ns": None}


def observed_without_time(api, proxy, toxic):
    observed = api.get("/harness/observed").json[proxy][toxic]
    return {name: value for name, value in observed.items() if name != "first_observed_unix_ns"}


def eventually(question):
    deadline = time.monotonic() + HANG_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_toxic_without_traffic_is_not_observed(link, api):
    link.add("latency", latency=1)
    link.open()
    assert api.get("/harness/observed").json == {"link": {"latency_downstream": NOTHING_OBSERVED}}


def test_observed_counts_connections_chunks_and_bytes_and_outlives_removal(link, api):
    path = link.add("latency", latency=1)
    before_ns = time.time_ns()
    for _ in range(2):
        client, server = link.open()
        for word in (b"one", b"three"):
            server.send(word)
            client.read(len(word))
    after_ns = time.time_ns()
    api.delete(path)
    observed = api.get("/harness/observed").json["link"]["latency_downstream"]
    assert before_ns <= observed.pop("first_observed_unix_ns") <= after_ns
    assert observed == {"connections": 2, "chunks": 4, "bytes": 16}


def test_observed_starts_anew_with_a_toxic_of_the_same_name(link, api):
    path = link.add("latency", latency=1)
    client, server = link.open()
    server.send(b"x")
    client.read(1)
    api.delete(path)
    link.add("latency", latency=1)
    assert api.get("/harness/observed").json["link"]["latency_downstream"] == NOTHING_OBSERVED


def test_reset_forgets_what_was_observed(link, api):
    link.add("latency", latency=1)
    api.post("/reset")
    assert api.get("/harness/observed").json == {"link": {}}


def test_only_touched_connections_count(link, api):
    link.add("limit_data", bytes=5)
    client, server = link.open()
    server.send(b"abc")
    client.read(3)
    assert observed_without_time(api, "link", "limit_data_downstream") == {"connections": 0, "chunks": 0, "bytes": 0}
    server.send(b"def")
    assert client.read_all() == b"de"
    assert observed_without_time(api, "link", "limit_data_downstream") == {"connections": 1, "chunks": 1, "bytes": 3}


def test_a_delay_of_zero_is_not_observed(link, api):
    link.add("latency", latency=0)
    client, server = link.open()
    server.send(b"abc")
    client.read(3)
    assert observed_without_time(api, "link", "latency_downstream") == {"connections": 0, "chunks": 0, "bytes": 0}


def test_a_closed_idle_connection_is_observed_without_bytes(link, api):
    link.add("timeout", timeout=1)
    client, _ = link.open()
    client.ending()
    assert observed_without_time(api, "link", "timeout_downstream") == {"connections": 1, "chunks": 0, "bytes": 0}


def test_links_count_live(link, api, free_port):
    client, server = link.open()
    client.send(b"12345")
    server.read(5)
    server.send(b"123")
    client.read(3)
    counters = {
        "open_connections": 1,
        "total_connections": 1,
        "bytes_up": 5,
        "bytes_down": 3,
        "refused_upstream_dials": 0,
        "sees_http": False,
        "why": "the link is not described as http or https",
    }
    assert api.get("/harness/links").json == {"link": counters}
    client.close()
    server.close()
    eventually(lambda: api.get("/harness/links").json["link"]["open_connections"] == 0)
    api.patch(link.path, {"upstream": f"127.0.0.1:{free_port}"})
    link.dial().ending()
    counters |= {"open_connections": 0, "total_connections": 2, "refused_upstream_dials": 1}
    assert api.get("/harness/links").json == {"link": counters}


def test_no_lease_means_no_lapse(start_server):
    api = start_server().api
    nothing = {"lease_s": None, "remaining_s": None, "lapsed": 0, "last_lapse_unix_ns": None}
    assert api.get("/harness/lease").json == nothing


def test_a_lapsed_lease_heals_and_keeps_serving(start_server, make_link):
    api = start_server().api
    link, down = make_link("a", api), make_link("b", api)
    link.add("timeout", stream="upstream", timeout=0)
    link.add("latency", latency=DAY_MS)
    api.patch(down.path, {"enabled": False})
    assert api.post("/harness/lease", {"lease_s": 0.05}).json["lease_s"] == 0.05
    eventually(lambda: api.get("/harness/lease").json["lapsed"])
    eventually(lambda: api.get(down.path).json["enabled"])
    assert api.get(link.path).json["toxics"] == []
    report = api.get("/harness/lease").json
    assert (report["lease_s"], report["remaining_s"], report["lapsed"]) == (0.05, None, 1)
    assert report["last_lapse_unix_ns"] <= time.time_ns()
    assert set(api.get("/harness/observed").json["a"]) == {"latency_downstream", "timeout_upstream"}
    client, server = down.open()
    client.send(b"x")
    assert server.read(1) == b"x"


def test_a_fault_added_after_the_lapse_is_healed_too(start_server, make_link):
    api = start_server("--lease-s", "0.05").api
    link = make_link("a", api)
    eventually(lambda: api.get("/harness/lease").json["lapsed"])
    link.add("latency", latency=DAY_MS)
    eventually(lambda: api.get(link.path).json["toxics"] == [])
    assert api.get("/harness/lease").json["lapsed"] == 1


def test_a_renewed_lease_heals_nothing(start_server, make_link):
    api = start_server("--lease-s", "300").api
    link = make_link("a", api)
    link.add("latency", latency=1)
    report = api.post("/harness/lease", {"lease_s": 600.0}).json
    assert (report["lease_s"], report["lapsed"]) == (600.0, 0)
    assert 300 < report["remaining_s"] <= 600
    assert len(api.get(link.path).json["toxics"]) == 1


def test_an_ended_lease_leaves_faults_alone(start_server, make_link):
    api = start_server("--lease-s", "300").api
    make_link("a", api).add("latency", latency=1)
    assert api.delete("/harness/lease").status == 204
    assert api.get("/harness/lease").json == {
        "lease_s": None, "remaining_s": None, "lapsed": 0, "last_lapse_unix_ns": None
    }  # fmt: skip
    assert len(api.get("/proxies/a/toxics").json) == 1


@pytest.mark.parametrize("body", [{}, {"lease_s": 0}, {"lease_s": -1}, {"lease_s": "5"}, {"lease_s": 1e9}, [], None])
def test_a_senseless_lease_is_refused(api, body):
    assert api.post("/harness/lease", body).status == 400
    assert api.get("/harness/lease").json["lease_s"] is None


def fates(start_server, make_link, seed):
    """Which of 40 connections a toxic of toxicity 0.5 hits."""
    api = start_server("--seed", seed).api
    link = make_link("link", api)
    link.add("limit_data", toxicity=0.5, bytes=0)
    hit = []
    for _ in range(40):
        client, server = link.open()
        server.send(b"1")
        hit.append(client.read(1) == b"")
    return hit


def test_the_same_seed_hits_the_same_connections(start_server, make_link):
    first = fates(start_server, make_link, "1")
    assert fates(start_server, make_link, "1") == first
    assert fates(start_server, make_link, "2") != first


def run(*arguments):
    command = [sys.executable, "-m", "harness.faultproxy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def test_it_prints_one_line_and_ends_with_zero_on_a_signal(start_server, make_link):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = start_server()
        client, upstream = make_link("a", server.api).open()
        server.process.send_signal(number)
        assert server.process.wait(HANG_S) == 0
        assert (client.ending(), upstream.ending()) == ("FIN", "FIN")
        assert server.process.stdout.read() == ""


def test_taken_api_port_exits_with_three(api):
    done = run("--port", api.address.rpartition(":")[2])
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot listen at" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--port", "x"], ["--no-such"], ["--lease-s", "-1"], ["--config", "/no/such/file"]]
)
def test_wrong_usage_exits_with_four(arguments):
    done = run("--port", "0", *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr


def test_config_file_creates_proxies_with_toxics(start_server, tmp_path):
    config = tmp_path / "proxies.json"
    toxic = {"type": "latency", "attributes": {"latency": 5}}
    config.write_text(
        json.dumps([{"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1", "toxics": [toxic]}])
    )
    api = start_server("-config", str(config), "-host", "127.0.0.1").api
    assert [toxic["name"] for toxic in api.get("/proxies/a/toxics").json] == ["latency_downstream"]


def test_broken_config_exits_with_four_and_taken_port_in_it_with_three(link, tmp_path):
    config = tmp_path / "proxies.json"
    config.write_text('[{"name": "a"}]')
    assert run("--port", "0", "--config", str(config)).returncode == 4
    config.write_text(json.dumps([{"name": "a", "listen": link.listen, "upstream": "localhost:1"}]))
    assert run("--port", "0", "--config", str(config)).returncode == 3


@pytest.fixture
def black_hole():
    """The address of a listener whose queue is full: dialling it hangs."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            caller = stack.enter_context(socket.socket())
            caller.settimeout(0.1)
            if caller.connect_ex(listener.getsockname()):
                break
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_dial_that_hangs_stops_nobody(link, api, make_link, black_hole):
    api.patch(link.path, {"upstream": black_hole})
    stuck = link.dial()
    stuck.send(b"x")
    assert stuck.is_silent()
    client, server = make_link("other").open()
    client.send(b"x")
    assert server.read(1) == b"x"
    link.add("latency", latency=1)
    assert api.delete(link.path).status == 204
    assert stuck.ending() == "FIN"


def test_out_of_descriptors_it_waits_and_goes_on(start_server, make_link):
    server = start_server()
    link = make_link("a", server.api)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (count_descriptors(server.process.pid) + 5, limits[1]))
    crowd = [link.dial() for _ in range(20)]
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    for wire in crowd:
        wire.close()
    api = server.api
    eventually(lambda: api.get("/harness/links").json["a"]["total_connections"] == 20)
    client = link.dial()
    client.send(b"still there")
    client.half_close()
    eventually(lambda: link.accept().read_all() == b"still there")


def test_the_api_answers_while_clients_take_all_descriptors(start_server, make_link):
    server = start_server()
    link = make_link("a", server.api)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    scarce = count_descriptors(server.process.pid) + 40
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (scarce, limits[1]))
    for _ in range(100):
        link.dial()
    eventually(lambda: server.api.get("/harness/links").json["a"]["open_connections"] > 10)
    link.add("latency", latency=1)
    assert server.api.post("/reset").status == 204
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    eventually(lambda: server.api.get("/harness/links").json["a"]["total_connections"] == 100)


def test_garbage_on_the_api_port_harms_nobody(api):
    host, _, port = api.address.rpartition(":")
    for garbage in (
        b"\0\1\2\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /proxies HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\n" * 100,
    ):
        with socket.create_connection((host, int(port)), HANG_S) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
    assert api.get("/version").status == 200


def test_a_stalled_caller_stops_no_other_call(api):
    host, _, port = api.address.rpartition(":")
    with socket.create_connection((host, int(port)), HANG_S) as raw:
        raw.sendall(b"POST /proxies HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert api.get("/version").status == 200


def count_descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_descriptor_is_left_behind(start_server, make_link):
    server = start_server()
    link = make_link("a", server.api)
    before = count_descriptors(server.process.pid)
    for kind in ("timeout", "reset_peer", "limit_data", "latency", "bandwidth", "slow_close"):
        path = link.add(kind)
        pairs = [link.open() for _ in range(10)]
        for _, upstream in pairs:
            upstream.send(b"x")
        server.api.delete(path)
        for client, upstream in pairs:
            client.close()
            upstream.close()
    eventually(lambda: count_descriptors(server.process.pid) <= before)
