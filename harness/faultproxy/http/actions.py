"""What a rule does to a request that it touches."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

_PARETO_SHAPE = 3.0


class Distribution(Enum):
    """How delays spread around `latency_s`."""

    FIXED = "fixed"
    UNIFORM = "uniform"  # latency - jitter .. latency + jitter
    NORMAL = "normal"  # jitter is the standard deviation
    PARETO = "pareto"  # latency at least, jitter more on average, a few much later


@dataclass(frozen=True, slots=True)
class Action:
    """Base of all actions."""


@dataclass(frozen=True, slots=True)
class Delay(Action):
    """Hold the request, then pass it on. Several delays add up; with a ramp they grow from 0 over `ramp_s`."""

    latency_s: float
    jitter_s: float = 0.0
    distribution: Distribution = Distribution.FIXED
    ramp_s: float = 0.0

    def draw_s(self, chance: random.Random, *, age_s: float) -> float:
        """Return the delay of one request, *age_s* after the rule was made; never negative."""
        share = min(1.0, age_s / self.ramp_s) if self.ramp_s else 1.0
        return max(0.0, self._drawn_s(chance)) * share

    def _drawn_s(self, chance: random.Random) -> float:
        match self.distribution:
            case Distribution.UNIFORM:
                return chance.uniform(self.latency_s - self.jitter_s, self.latency_s + self.jitter_s)
            case Distribution.NORMAL:
                return chance.gauss(self.latency_s, self.jitter_s)
            case Distribution.PARETO:  # paretovariate - 1 has the mean 1 / (shape - 1)
                return self.latency_s + self.jitter_s * (chance.paretovariate(_PARETO_SHAPE) - 1) * (_PARETO_SHAPE - 1)
            case Distribution.FIXED:
                return self.latency_s


@dataclass(frozen=True, slots=True)
class Hang(Action):
    """Never pass the request on. When the rule goes the request goes on, unless its caller has gone by then."""


@dataclass(frozen=True, slots=True)
class Answer(Action):
    """Answer in the callee's place, which sees nothing; the request's body is read and dropped."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class ResetRequest(Action):
    """Reset the connection before the callee has seen any byte of the request."""


@dataclass(frozen=True, slots=True)
class LoseReply(Action):
    """Let the callee run, swallow its whole reply, then reset the connection."""


@dataclass(frozen=True, slots=True)
class Truncate(Action):
    """Pass on so many bytes of the reply's body, as they are on the wire within chunks, then close the connection.

    A body that is not longer stays whole and counts as not touched.
    """

    bytes: int


@dataclass(frozen=True, slots=True)
class Corrupt(Action):
    """Change so many bytes, or all if there are fewer, among the first megabyte of the reply's body.

    Each is sure to differ from what it was. A compressed body is changed in its compressed form.
    """

    bytes: int


@dataclass(frozen=True, slots=True)
class SlowBody(Action):
    """Pass on the reply's body, framing included, at so many bytes a second."""

    rate: int


@dataclass(frozen=True, slots=True)
class NullField(Action):
    """Set a field of the JSON reply to null: "a.b", "items.0.price", "items.*.price".

    A chunked reply is sent with a length instead; gzip is undone and done again. A reply in another coding, longer
    than a megabyte, without that field or with a null there already stays as it is and counts as not touched.
    """

    path: str


@dataclass(frozen=True, slots=True)
class Duplicate(Action):
    """Send the request twice over the same connection, return the first reply and swallow the second.

    Requests with a body over one megabyte, and those that wait for 100 Continue, stay single and count as not touched.
    """
