"""Live counters of one proxy."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.faultproxy.connection import Connection
from harness.faultproxy.direction import Direction


@dataclass(slots=True)
class Traffic:
    """Bytes of one direction: read from the source, and taken by the destination."""

    received_bytes: int = 0
    sent_bytes: int = 0

    def add(self, connection: Connection, direction: Direction) -> None:
        """Count what *connection* carried so far."""
        pipe = connection.pipes.get(direction)
        if pipe is not None:
            self.received_bytes += pipe.received_bytes
            self.sent_bytes += pipe.sent_bytes


@dataclass(slots=True)
class Links:
    """Counts since the proxy was created; open connections are counted where they are, closed ones folded in."""

    total_connections: int = 0
    refused_upstream_dials: int = 0
    closed: dict[Direction, Traffic] = field(default_factory=lambda: {direction: Traffic() for direction in Direction})

    def fold_in(self, connection: Connection) -> None:
        """Keep the traffic of a connection that closed."""
        for direction in Direction:
            self.closed[direction].add(connection, direction)

    def traffic(self, direction: Direction, connections: Iterable[Connection]) -> Traffic:
        """Return all traffic of one direction, that of the open *connections* included."""
        closed = self.closed[direction]
        total = Traffic(closed.received_bytes, closed.sent_bytes)
        for connection in connections:
            total.add(connection, direction)
        return total
