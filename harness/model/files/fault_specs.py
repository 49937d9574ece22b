"""The parameters of each kind of fault, as they stand in a scenario: `latency: {latency: 300ms, jitter: 50ms}`."""

from typing import Annotated

from pydantic import AllowInfNan, Field, PositiveFloat, PositiveInt, model_validator

from harness.model.base import Spec
from harness.model.files.units import Duration, Shift, Size

Rate = Annotated[PositiveFloat, AllowInfNan(False)]

# -- on a link, for every connection -----------------------------------------------------------------------------------


class Latency(Spec):
    """Delay each chunk by latency +- jitter."""

    latency: Duration
    jitter: Duration = 0.0


class Bandwidth(Spec):
    """Limit each connection to *rate* kB (1000 bytes) a second; 0 holds everything."""

    rate: int = Field(ge=0)


class SlowClose(Spec):
    """Delay the closing of a connection."""

    delay: Duration


class Timeout(Spec):
    """Stop all data, and close after *timeout*; 0s never closes."""

    timeout: Duration


class ResetPeer(Spec):
    """Answer with RST after *timeout*."""

    timeout: Duration = 0.0


class Slicer(Spec):
    """Cut data into pieces of average_size +- size_variation bytes, *delay* apart."""

    average_size: PositiveInt
    size_variation: int = Field(default=0, ge=0)
    delay: Duration = 0.0


class LimitData(Spec):
    """Close the connection after *bytes* bytes."""

    bytes: int = Field(ge=0)


# -- on a link, for single requests ------------------------------------------------------------------------------------


class Delay(Spec):
    """Hold each request for a time drawn from *distribution*: mean *latency*, spread *jitter*."""

    latency: Duration
    jitter: Duration = 0.0
    distribution: Annotated[str, Field(pattern="^(fixed|uniform|normal|pareto)$")] = "fixed"

    @model_validator(mode="after")
    def _has_a_spread(self) -> "Delay":
        if self.distribution == "fixed" and self.jitter:
            msg = "jitter needs a distribution: uniform, normal or pareto"
            raise ValueError(msg)
        return self


class Respond(Spec):
    """Respond in the callee's place."""

    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = {}
    body: str = ""


class Truncate(Spec):
    """Cut the answer's body after *bytes* bytes, then close."""

    bytes: int = Field(ge=0)


class Corrupt(Spec):
    """Flip *bytes* bytes of the answer's body."""

    bytes: PositiveInt


class SlowBody(Spec):
    """Send the answer's body at *rate* bytes a second."""

    rate: PositiveInt


class NullField(Spec):
    """Set a field of the JSON answer to null."""

    path: Annotated[str, Field(min_length=1)]


# -- on a process, a database, a broker, a flag ------------------------------------------------------------------------


class CpuStress(Spec):
    """Busy processes beside the service."""

    workers: PositiveInt = 1


class MemoryLimit(Spec):
    """The service's processes get no more address space than this."""

    limit: Size


class FdLimit(Spec):
    """The service's processes get no more open files and sockets than this."""

    limit: PositiveInt


class ClockShift(Spec):
    """The service's clock is off by this much."""

    shift: Shift


class DropIndex(Spec):
    """An index is gone."""

    index: Annotated[str, Field(min_length=1)]


class LockTable(Spec):
    """A session holds an exclusive lock on a table."""

    table: Annotated[str, Field(min_length=1)]


class TerminateBackends(Spec):
    """Every session of the database is ended, again and again."""

    every: Duration


class Poison(Spec):
    """Messages that their consumers cannot parse."""

    subject: Annotated[str, Field(min_length=1)]
    body: str = "{"
    headers: dict[str, str] = {}
    count: PositiveInt = 1


class FlagFlip(Spec):
    """A feature flag has another value, for everybody or for one tenant."""

    name: Annotated[str, Field(min_length=1)]
    value: bool | int | float | str
    tenant: str | None = None


class Surge(Spec):
    """A tenant sends *times* its share of the load."""

    tenant: str
    times: Rate
