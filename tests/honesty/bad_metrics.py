"""A.4: metrics over gaps, without samples, of other series, in other units."""

from math import inf, nan

from tests.honesty.acts import SLIGHT, samples, well
from tests.honesty.rows import NOT_PASS, Row, bad

LOST = "unknown telemetry lost"
NAME, LABELS = "dead_total", {"stream": "orders"}
DEAD = {"metric": {"name": NAME, "bound": "<= 2", "labels": LABELS}}
AGE = {"metric": {"name": "queue_age_seconds", "measure": "max", "bound": "<= 500ms"}}
BACK = {"metric": {"name": "backlog", "measure": "max", "bound": "<= 10"}}


def _dead(values, **how):
    return samples("orders", NAME, values, **{**LABELS, **how})


def _age(values, **how):
    return samples("orders", "queue_age_seconds", values, **how)


def _back(values, service="orders", **how):
    return samples(service, "backlog", values, **how)


def _up(down, service="orders"):
    return samples(service, "up", lambda s: float(not down[0] <= s < down[1]))


def _without(begin, end, before, after):
    """Return values that are missing for a time."""
    return lambda s: None if begin <= s < end else before if s < begin else after


def _at(second, value, other):
    return lambda s: value if second <= s < second + 1 else other


def _row(name, expected, *acts, check=DEAD) -> Row:
    return bad("A.4", name, expected, well(), *acts, checks=(check,), faults=SLIGHT)


ROWS = [
    _row(
        "down for the phase, then the counter has jumped by 500", LOST, _dead(_without(12, 22, 5, 505)), _up((12, 22))
    ),
    _row("no sample for half of the phase, no word of `up`", LOST, _dead(_without(14, 19, 5, 5))),
    _row("down over the end of the phase", LOST, _dead(_without(19, 25, 5, 900)), _up((19, 25))),
    _row("no sample in the phase", LOST, _dead(lambda s: 5 if s < 12 else None)),
    _row("no sample at all", LOST),
    _row("a label that is missing", LOST, samples("orders", NAME, lambda _s: 5)),
    _row("only other streams were seen", LOST, _dead(lambda _s: 5, stream="other")),
    _row("only another name was seen", LOST, samples("orders", "dead_letters_total", lambda _s: 5, **LABELS)),
    _row("NaN from the first sample on", NOT_PASS, _back(lambda _s: nan), check=BACK),
    _row("NaN first, then far too many", "fail", _back(lambda s: nan if s < 16 else 90), check=BACK),
    _row("far too many first, then NaN", "fail", _back(lambda s: 90 if s < 16 else nan), check=BACK),
    _row("NaN between good samples", NOT_PASS, _back(lambda s: nan if 14 <= s < 19 else 1), check=BACK),
    _row("infinite once", NOT_PASS, _back(_at(15, inf, 1)), check=BACK),
    _row("3 s on a metric in seconds against 500 ms", "fail", _age(lambda _s: 3.0), check=AGE),
    _row("0.6 s on a metric in seconds against 500 ms", "fail", _age(lambda _s: 0.6), check=AGE),
    _row(
        "700 on a metric in milliseconds against 0.5 s",
        "fail",
        samples("orders", "queue_age_milliseconds", lambda _s: 700),
        check={"metric": {"name": "queue_age_milliseconds", "measure": "max", "bound": "<= 0.5s"}},
    ),
    _row(
        "half a percent more on a ratio",
        "fail",
        samples("orders", "miss_ratio", lambda _s: 0.06),
        check={"metric": {"name": "miss_ratio", "measure": "max", "bound": "<= 5%"}},
    ),
    _row("reset between two scrapes, and risen since", "fail", _dead(lambda s: 5 if s < 15 else 4)),
    _row("reset twice, risen in all", "fail", _dead(lambda s: 5 if s < 15 else 2 if s < 18 else 1)),
    _row(
        "reset to more than before, told by its start time",
        NOT_PASS,
        _dead(lambda s: 5 if s < 15 else 6),
        samples("orders", "process_start_time_seconds", lambda s: 100 if s < 15 else 200),
    ),
    _row(
        "risen in one of two processes",
        "fail",
        _dead(lambda _s: 5),
        samples("orders-2", NAME, lambda s: 0 if s < 15 else 7, **LABELS),
    ),
    _row(
        "risen in one of two processes that share a service",
        "fail",
        _dead(lambda _s: 5, instance="a"),
        _dead(lambda s: 0 if s < 15 else 7, instance="b"),
    ),
    _row(
        "one of two processes falls silent",
        NOT_PASS,
        _dead(lambda _s: 5, instance="a"),
        _dead(lambda s: 0 if s < 13 else None, instance="b"),
    ),
    _row(
        "two and a little rises add up",
        "fail",
        _dead(lambda s: 5 if s < 15 else 7),
        samples("insights", NAME, lambda s: 0 if s < 15 else 1, **LABELS),
    ),
    _row("a peak of one scrape", "fail", _back(_at(15, 11, 1)), check=BACK),
    _row(
        "a queue that stays full at the end",
        "fail",
        _back(lambda s: 1 if s < 20 else 90),
        check={"metric": {**BACK["metric"], "measure": "last"}},
    ),
    _row("one sample in the phase", NOT_PASS, _back(_at(15, 1, None)), check=BACK),
]
