"""The unit of a metric, by its name or as stated, and whether a bound fits it."""

from harness.model.files.units import Bound

UNITS = ("seconds", "milliseconds", "ratio", "percent", "bytes", "count")
_SUFFIXES = {
    "seconds": "seconds",
    "milliseconds": "milliseconds",
    "ms": "milliseconds",
    "millis": "milliseconds",
    "ratio": "ratio",
    "percent": "percent",
    "bytes": "bytes",
}
_LOST = ("total", "sum", "max", "min", "last", "avg", "mean")  # they say what was done, not in which unit
_FACTORS = {  # from the metric's unit to that of the bound: "ms", or "%" as a fraction
    ("seconds", "ms"): 1000.0,
    ("milliseconds", "ms"): 1.0,
    ("ratio", "%"): 1.0,
    ("percent", "%"): 0.01,
}


def unit_of(name: str) -> str | None:
    """Return the unit that a metric's name ends with, as Prometheus asks for; None where it tells none."""
    words = name.lower().split("_")
    while len(words) > 1 and words[-1] in _LOST:
        words.pop()
    return _SUFFIXES.get(words[-1])


def unit_factor(name: str, bound: Bound, stated: str | None) -> float:
    """Return what a value must be multiplied by to be compared with *bound*; a bare bound is in the metric's own unit.

    Raises:
        ValueError: the bound's unit does not fit the metric's.
    """
    if not bound.unit:
        return 1.0
    unit = stated or unit_of(name)
    factor = _FACTORS.get((unit or "", bound.unit))
    if factor is None:
        said = f"{name} is in {unit}" if unit else f"the name {name} tells no unit"
        msg = f"the bound '{bound}' has a unit that does not fit: {said}; state `unit:`, or write the bound without one"
        raise ValueError(msg)
    return factor
