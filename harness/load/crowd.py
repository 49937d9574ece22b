"""The users of one tenant: as many as its arrivals need at the moment, up to a bound."""

from collections.abc import Callable

import gevent.queue

from harness.load.arrivals import Arrival


class Crowd:
    """Hands arrivals to users that wait, and asks for a new user when none does: nobody's slowness delays another."""

    def __init__(self, join: Callable[[], None], *, most_users: int) -> None:
        self._join = join
        self._most_users = most_users
        self._queue: gevent.queue.Queue[Arrival] = gevent.queue.Queue()
        self._users = 0
        self._waiting = 0

    def offer(self, arrival: Arrival) -> None:
        """Give an arrival that is due to a user; with all users busy it waits for the first that is free."""
        if self._waiting:
            self._waiting -= 1
        elif self._users < self._most_users:
            self._users += 1
            self._join()
        self._queue.put(arrival)

    def take(self) -> Arrival:
        """Wait for the next arrival, as a user."""
        if self._queue.empty():
            self._waiting += 1
        arrival: Arrival = self._queue.get()
        return arrival

    def left(self) -> list[Arrival]:
        """Remove and return what no user took."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    @property
    def backlog(self) -> int:
        """How many arrivals are due and not taken."""
        return int(self._queue.qsize())
