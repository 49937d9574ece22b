"""The two directions of a connection."""

from enum import Enum


class Direction(Enum):
    """Where bytes flow; upstream first, as toxics are listed."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
