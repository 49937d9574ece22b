"""Free ports, below those of outgoing connections."""

import socket
from pathlib import Path

from harness.drivers.ports import free_ports, is_taken


def test_every_name_gets_a_port_of_its_own_that_is_free():
    ports = free_ports("127.0.0.1", [f"s{n}" for n in range(40)])
    assert len(set(ports.values())) == 40
    for port in ports.values():
        with socket.create_server(("127.0.0.1", port)):
            assert is_taken("127.0.0.1", port)


def test_ports_of_outgoing_connections_are_avoided():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < low for port in free_ports("127.0.0.1", [str(n) for n in range(20)]).values())


def test_a_closed_port_is_not_taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not is_taken("127.0.0.1", port)
