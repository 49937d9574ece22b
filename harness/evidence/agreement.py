"""When two sources that count the same thing disagree: by more than chance, edges and rounding explain."""

SHARE = 0.10
CALLS = 3


def disagree(one: float, other: float) -> bool:
    """Say whether two counts of one thing differ by more than a tenth of the larger, and by more than three."""
    return abs(one - other) > max(CALLS, SHARE * max(one, other))
