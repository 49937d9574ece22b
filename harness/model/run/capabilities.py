"""What a driver can do to the services and links of its target; a fault kind says what it needs of these."""

from collections.abc import Collection, Iterable
from enum import Enum


class Capability(Enum):
    """One thing that a driver can do; the value is its name in messages: "kill needs 'kill', which …"."""

    FAULT_PROXY = "fault proxy"  # calls of the links go through a proxy with Toxiproxy's API
    REQUEST_RULES = "request rules"  # that proxy sees single requests, and can treat them
    PACKET_FILTER = "packet filter"  # the links listen on this machine's loopback, in reach of its kernel

    KILL = "kill"  # end a unit at once
    RESTART = "restart"  # ask a unit to end, and have it start again
    PAUSE = "pause"  # stop a unit where it is, and let it go on
    CPU_LIMIT = "cpu limit"  # take CPU time away from a unit
    MEMORY_LIMIT = "memory limit"  # limit the memory of a running unit
    FD_LIMIT = "fd limit"  # limit the open files of a running unit
    CLOCK_SHIFT = "clock shift"  # give a unit another time of day
    DISK_QUOTA = "disk quota"  # fill the file system of one unit and no other

    DATABASE_ACCESS = "database access"  # a superuser's session in a database of the target
    BROKER_ACCESS = "broker access"  # a session in a broker of the target, past the links
    FLAG_ACCESS = "flag access"  # the service that holds the target's feature flags can be called


def missing(needs: Iterable[Capability], has: Collection[Capability]) -> list[Capability]:
    """Return what of *needs* is not in *has*, in the order of the enum."""
    return [capability for capability in Capability if capability in set(needs) - set(has)]


def refusal(what: str, needs: Iterable[Capability], *, driver: str, has: Collection[Capability]) -> str:
    """Return why *driver* cannot do *what*: "X needs 'pause', which the driver 'external' does not have"; or ""."""
    lacking = " and ".join(repr(capability.value) for capability in missing(needs, has))
    return f"{what} needs {lacking}, which the driver {driver!r} does not have" if lacking else ""
