"""Evidence that a toxic reached traffic."""

from dataclasses import dataclass


@dataclass(slots=True)
class Observed:
    """What one toxic touched so far. Counts only grow; they outlive the toxic's removal."""

    connections: int = 0
    chunks: int = 0
    bytes: int = 0
    first_observed_unix_ns: int | None = None
