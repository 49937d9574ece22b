"""One toxic at work on one direction of one connection.

    source -> Stage -> Stage -> Pipe (outbox) -> destination

A stage takes chunks and endings from the left and hands them on to `next`, now or later. All calls happen in the
event loop and none of them waits, so that a control call can rearrange stages at any time.
"""

import math
import random
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from harness.faultproxy.chance import Chance
from harness.faultproxy.clock import Clock, Timer
from harness.faultproxy.observed import Observed

A = TypeVar("A")

CHUNK_OVERHEAD_BYTES = 256  # a held one-byte chunk costs this much memory too
HANDS_PER_TURN = 64  # then others get their turn: thousands of one-byte slices must not block the loop


class Ending(Enum):
    """How a direction ends, gentlest first."""

    EOF = "eof"  # the source half-closed; the other direction lives on
    CUT = "cut"  # a toxic closes the connection once everything before is delivered
    RESET = "reset"  # both sides get a TCP RST


class Receiver(Protocol):
    """What takes chunks in order and then, at most once, an ending."""

    def feed(self, data: bytes) -> None:
        """Take the next chunk; chunks after the ending are dropped."""

    def end(self, ending: Ending) -> None:
        """Take the ending; only the first one counts."""


class Flow(Protocol):
    """The pipe as its stages see it."""

    def choke(self) -> None:
        """Stop reading the source until as many `unchoke` calls follow."""

    def unchoke(self) -> None:
        """Take back one `choke`."""

    def stop_source(self) -> None:
        """Nothing more is wanted from the source."""


@dataclass(slots=True)
class Surroundings:
    """What a stage is given: time, chance, its pipe and the counters of its toxic."""

    clock: Clock
    chance: Chance
    flow: Flow
    observed: Observed


class Stage(ABC, Generic[A]):
    """Base of all stages: keeps the order, drops what follows an ending, counts what was observed."""

    def __init__(self, attributes: A, around: Surroundings) -> None:
        self.attributes = attributes
        self.next: Receiver
        self.ended = False
        self._clock = around.clock
        self._chance = around.chance
        self._flow = around.flow
        self._observed = around.observed
        self._touched = False
        self._draws: random.Random | None = None

    def feed(self, data: bytes) -> None:
        """See `Receiver.feed`."""
        if not self.ended:
            self._take(data)

    def end(self, ending: Ending) -> None:
        """See `Receiver.end`."""
        if not self.ended:
            self.ended = True
            self._take_ending(ending)

    def is_clear(self) -> bool:
        """Tell whether chunks may as well bypass this stage: it holds none and passes each on as it is, unfelt."""
        return False

    def reconfigure(self, attributes: A) -> None:
        """The toxic was updated: from now on, and for everything held, the new attributes count."""
        self.attributes = attributes

    def release(self) -> None:
        """The toxic was removed: hand on everything held, at once."""

    def discard(self) -> None:
        """The connection is gone: drop everything held and every timer."""

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Treat one chunk."""

    def _take_ending(self, ending: Ending) -> None:
        self.next.end(ending)

    def _close(self, ending: Ending) -> None:
        """This stage itself ends the direction."""
        self.ended = True
        self._flow.stop_source()
        self.next.end(ending)

    def _touch(self, data: bytes = b"") -> None:
        observed = self._observed
        if not self._touched:
            self._touched = True
            observed.connections += 1
            if observed.first_observed_unix_ns is None:
                observed.first_observed_unix_ns = self._clock.unix_ns()
        if data:
            observed.chunks += 1
            observed.bytes += len(data)

    def _random(self) -> random.Random:
        if self._draws is None:
            self._draws = self._chance.stream()
        return self._draws


class Held(NamedTuple):
    """A chunk or the ending, waiting for its time."""

    due_s: float
    arrived_s: float
    load: bytes | Ending


class HoldingStage(Stage[A]):
    """A stage that delays: a queue in order of arrival, one timer, and a bound on the bytes held."""

    allowance_bytes = 64 * 1024

    def __init__(self, attributes: A, around: Surroundings) -> None:
        super().__init__(attributes, around)
        self._held: deque[Held] = deque()
        self._held_bytes = 0
        self._choking = False
        self._timer: Timer | None = None
        self._timer_due_s = math.inf

    def is_clear(self) -> bool:
        """See `Stage.is_clear`."""
        return not self._held and self._passes_chunks()

    def _passes_chunks(self) -> bool:
        """Tell whether the attributes are such that no chunk is changed or delayed."""
        return False

    def reconfigure(self, attributes: A) -> None:
        """Plan everything held anew."""
        self.attributes = attributes
        held, self._held, self._held_bytes = self._held, deque(), 0
        self._forget_plan()
        for _, arrived_s, load in held:
            self._plan(load, arrived_s)
        self._hand_on()

    def release(self) -> None:
        """Hand on everything held as one chunk, then the ending if it was held."""
        held, self._held, self._held_bytes = self._held, deque(), 0
        self._stop_timer()
        data = b"".join(load for _, _, load in held if isinstance(load, bytes))
        if data:
            self.next.feed(data)
        if held and isinstance(held[-1].load, Ending):
            self.next.end(held[-1].load)
        self._set_choke(False)

    def discard(self) -> None:
        """Drop everything held."""
        self._held.clear()
        self._held_bytes = 0
        self._stop_timer()

    @abstractmethod
    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        """Decide when *load* leaves: `_hold` it, in one piece or several. Return whether the receiver will feel it."""

    def _forget_plan(self) -> None:
        """Attributes changed: forget what was reckoned from the old ones."""

    def _take(self, data: bytes) -> None:
        if self._plan(data, self._clock.now_s()):
            self._touch(data)
        self._hand_on()

    def _take_ending(self, ending: Ending) -> None:
        if self._plan(ending, self._clock.now_s()):
            self._touch()
        self._hand_on()

    def _hold(self, load: bytes | Ending, due_s: float, arrived_s: float) -> None:
        if self._held:
            due_s = max(due_s, self._held[-1].due_s)
        self._held.append(Held(due_s, arrived_s, load))
        self._held_bytes += _cost(load)

    def _hand_on(self) -> None:
        """Hand on what is due, then sleep until the next one is."""
        held, hands = self._held, HANDS_PER_TURN
        now_s = self._clock.now_s()
        while held and hands and held[0].due_s <= now_s:
            load = held.popleft().load
            self._held_bytes -= _cost(load)
            hands -= 1
            if isinstance(load, bytes):
                self.next.feed(load)
            else:
                self.next.end(load)
        self._set_choke(self._held_bytes > self.allowance_bytes)
        self._sleep()

    def _sleep(self) -> None:
        due_s = self._held[0].due_s if self._held else math.inf
        if self._timer is not None and self._timer_due_s == due_s:
            return
        self._stop_timer()
        if due_s != math.inf:
            self._timer, self._timer_due_s = self._clock.call_at(due_s, self._wake), due_s

    def _wake(self) -> None:
        self._timer = None
        self._hand_on()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_choke(self, choking: bool) -> None:
        if choking != self._choking:
            self._choking = choking
            (self._flow.choke if choking else self._flow.unchoke)()


def _cost(load: bytes | Ending) -> int:
    return CHUNK_OVERHEAD_BYTES + len(load) if isinstance(load, bytes) else 0
