"""One proxy: a listener, an upstream, its toxics and the connections that feel them."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from harness.faultproxy.address import Endpoint, bound_endpoint, is_address_in_use, open_listener
from harness.faultproxy.chance import Chance
from harness.faultproxy.clock import Clock, Timer
from harness.faultproxy.connection import Connection
from harness.faultproxy.descriptors import are_scarce_beside, is_scarce
from harness.faultproxy.dial import Dial
from harness.faultproxy.direction import Direction
from harness.faultproxy.errors import ApiError, toxic_exists, toxic_not_found
from harness.faultproxy.fields import Fields
from harness.faultproxy.http.link import SeenLink
from harness.faultproxy.http.relay import Relay
from harness.faultproxy.links import Links
from harness.faultproxy.observed import Observed
from harness.faultproxy.pipe import Pipe, Scratch
from harness.faultproxy.readiness import Readiness
from harness.faultproxy.stage import Surroundings
from harness.faultproxy.toxic import Toxic, ToxicRequest

_ACCEPTS_PER_TURN = 64
_REST_WHEN_FULL_S = 0.1


@dataclass(frozen=True, slots=True)
class Plant:
    """What all proxies of one process share."""

    loop: asyncio.AbstractEventLoop
    readiness: Readiness
    clock: Clock
    seed: int
    scratch: Scratch


@dataclass(frozen=True, slots=True)
class ProxyChange:
    """What an update asks for, every field filled in."""

    listen: str
    upstream: str
    enabled: bool


class Proxy:
    """Accepts clients while enabled. Toxics and counters survive updates, disabling and enabling."""

    def __init__(self, plant: Plant, name: str, *, listen: str, upstream: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.links = Links()
        self.http = SeenLink(name, seed=plant.seed, clock=plant.clock)
        self.observed: dict[str, Observed] = {}
        self.connections: set[Connection] = set()
        self._plant = plant
        self._listener: socket.socket | None = None
        self._rest: Timer | None = None
        self._toxics: dict[Direction, dict[str, Toxic]] = {direction: {} for direction in Direction}

    @property
    def enabled(self) -> bool:
        """Whether clients can connect."""
        return self._listener is not None

    # -- listening ---------------------------------------------------------------------------------------------------

    def update(self, change: ProxyChange, endpoint: Endpoint) -> None:
        """Make it so, or raise ApiError (500) and change nothing; *endpoint* is `change.listen`, resolved.

        A change of address or upstream closes the connections; one that changes nothing leaves them alone.
        """
        moved = str(endpoint) != self.listen or change.upstream != self.upstream
        if change.enabled:
            if not self.enabled or str(endpoint) != self.listen:
                self._listen_at(endpoint)
        else:
            self.stop_listening()
            self.listen = change.listen if moved else self.listen
        self.upstream = change.upstream
        if moved or not change.enabled:
            self._close_connections()

    def enable(self, endpoint: Endpoint) -> None:
        """Listen unless it does already; raise ApiError (500) when it cannot."""
        if not self.enabled:
            self._listen_at(endpoint)

    def close(self) -> None:
        """Stop listening and close every connection."""
        self.stop_listening()
        self._close_connections()  # first: a request that a rule holds goes with its connection
        self.http.remove_all()

    def _listen_at(self, endpoint: Endpoint) -> None:
        try:
            listener = open_listener(endpoint)
        except ApiError as problem:
            if self._listener is None or not is_address_in_use(problem):
                raise
            listener = self._listen_instead(endpoint)
        self.stop_listening()
        self._listener = listener
        self.listen = str(bound_endpoint(listener))
        self._plant.readiness.on_readable(listener.fileno(), self._on_client)

    def _listen_instead(self, endpoint: Endpoint) -> socket.socket:
        """The own listener may be what is in the way (0.0.0.0 in place of 127.0.0.1): step aside, or come back."""
        assert self._listener is not None
        before = bound_endpoint(self._listener)
        self.stop_listening()
        try:
            return open_listener(endpoint)
        except ApiError:
            self._listen_at(before)
            raise

    def stop_listening(self) -> None:
        """Take no more clients; connections live on."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._listener is not None:
            self._plant.readiness.on_readable(self._listener.fileno(), None)
            self._listener.close()
            self._listener = None

    def _on_client(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self._listener is None:
                return
            try:
                client, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno != errno.EBADF:
                    self._rest_from_accepting(str(problem))
                return
            client.setblocking(False)
            scarce = is_scarce(client.fileno())
            self._connect(client)
            if scarce:
                self._rest_from_accepting("descriptors are running out; new clients wait")
                return

    def _rest_from_accepting(self, why: str) -> None:
        """Leave new clients in the queue for a while: readiness would call again at once and spin."""
        if self._listener is None:
            return
        print(f"proxy {self.name}: {why}", file=sys.stderr)
        self._plant.readiness.on_readable(self._listener.fileno(), None)
        self._rest_a_while()

    def _rest_a_while(self) -> None:
        self._rest = self._plant.clock.call_at(self._plant.clock.now_s() + _REST_WHEN_FULL_S, self._accept_again)

    def _accept_again(self) -> None:
        self._rest = None
        if self._listener is None:
            return
        if are_scarce_beside(self._listener.fileno()):
            self._rest_a_while()
        else:
            self._plant.readiness.on_readable(self._listener.fileno(), self._on_client)

    # -- connections -------------------------------------------------------------------------------------------------

    def _connect(self, client: socket.socket) -> None:
        self.links.total_connections += 1
        plant = self._plant
        connection = Connection(
            plant.readiness, self, client, number=self.links.total_connections, scratch=plant.scratch
        )
        self.connections.add(connection)
        connection.dial(Dial(plant.loop, plant.readiness, self.upstream))

    def relay(self, up: Pipe, down: Pipe, abort: Callable[[], None]) -> Relay | None:
        """See `Owner.relay`."""
        return self.http.join(up, down, abort=abort)

    def relay_over(self, relay: Relay) -> None:
        """See `Owner.relay_over`."""
        self.http.part(relay)

    def connection_refused(self) -> None:
        """See `Owner.connection_refused`."""
        self.links.refused_upstream_dials += 1

    def connection_closed(self, connection: Connection) -> None:
        """See `Owner.connection_closed`."""
        self.connections.discard(connection)
        self.links.fold_in(connection)

    def _close_connections(self) -> None:
        for connection in list(self.connections):
            connection.close()

    # -- toxics ------------------------------------------------------------------------------------------------------

    def toxics(self) -> list[Toxic]:
        """Return all toxics, upstream first, each direction in order of insertion."""
        return [toxic for direction in Direction for toxic in self._toxics[direction].values()]

    def toxics_of(self, direction: Direction) -> list[Toxic]:
        """See `Owner.toxics_of`."""
        return list(self._toxics[direction].values())

    def toxic(self, name: str) -> Toxic:
        """Return the toxic of this name or raise ApiError (404)."""
        for toxics in self._toxics.values():
            if name in toxics:
                return toxics[name]
        raise toxic_not_found()

    def add_toxic(self, request: ToxicRequest) -> Toxic:
        """Add a toxic; open connections feel it at once. Raises ApiError: 409 for a taken name, 400 for attributes."""
        if any(request.name in toxics for toxics in self._toxics.values()):
            raise toxic_exists()
        toxic = request.build()
        self._toxics[toxic.direction][toxic.name] = toxic
        self.observed[toxic.name] = Observed()
        self._arrange(toxic.direction)
        return toxic

    def update_toxic(self, name: str, fields: Fields) -> Toxic:
        """Change attributes and toxicity, or raise ApiError (404, 400) and change nothing."""
        toxic = self.toxic(name).updated(fields)
        self._toxics[toxic.direction][name] = toxic
        self._arrange(toxic.direction)
        return toxic

    def remove_toxic(self, name: str) -> None:
        """Remove a toxic: what it held is delivered at once. Raises ApiError (404)."""
        direction = self.toxic(name).direction
        del self._toxics[direction][name]
        self._arrange(direction)

    def remove_all_toxics(self) -> None:
        """Remove every toxic; what they observed stays known."""
        for toxic in self.toxics():
            self.remove_toxic(toxic.name)

    def _arrange(self, direction: Direction) -> None:
        for connection in list(self.connections):
            connection.arrange(direction)

    def chance(self, toxic: Toxic, connection_number: int) -> Chance:
        """See `Owner.chance`."""
        return Chance(self._plant.seed, self.name, toxic.name, connection_number)

    def surroundings(self, toxic: Toxic, chance: Chance, pipe: Pipe) -> Surroundings:
        """See `Owner.surroundings`."""
        return Surroundings(self._plant.clock, chance, pipe, self.observed[toxic.name])

    # -- view --------------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """Return what the API shows."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.as_json() for toxic in self.toxics()],
        }
