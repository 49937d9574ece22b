"""A Locust user whose tasks are arrivals: it takes the next one that is due instead of waiting as long as it likes."""

import gevent
from locust import User, constant, task
from locust.env import Environment

from harness.load.answer import Answer
from harness.load.crowd import Crowd
from harness.load.direct import DirectDoors
from harness.load.http_client import OneTryPool, OneTrySession
from harness.load.player import Player, Request


class ArrivalUser(User):
    """One of a tenant's users. Killing it ends the request that is under way as one without an answer."""

    wait_time = constant(0)

    def __init__(
        self,
        environment: Environment,
        base_url: str,
        *,
        pool: OneTryPool,
        doors: DirectDoors,
        crowd: Crowd,
        player: Player,
    ) -> None:
        super().__init__(environment)
        self.client = OneTrySession(base_url, environment, pool)
        self._doors = doors
        self._crowd = crowd
        self._player = player
        self._cut_off = False

    @task
    def next_arrival(self) -> None:
        """Play the next arrival as somebody who has not been here before."""
        arrival = self._crowd.take()
        self.client.cookiejar.clear()
        self._player.play(arrival, self._send)
        if self._cut_off:
            raise gevent.GreenletExit

    def _send(self, request: Request) -> Answer:
        try:
            return self._doors.send(request, request.door) if request.door else self.client.send(request)
        except gevent.GreenletExit as killed:
            self._cut_off = True
            return Answer(error=str(killed) or "timeout")
