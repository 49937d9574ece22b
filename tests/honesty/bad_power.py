"""A.8: too few samples to have seen the harm, bursts, and the time that nobody looked at."""

from tests.honesty.acts import BROWSE, SLIGHT, hurt, several, well
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import Stretch

FEW = "unknown too few samples"
LONG = {"phases": {"warmup": "2s", "baseline": "10s", "fault": "20s", "recovery": "10s"}}
B, C = "browse", "checkout"


def _load(globex: float) -> dict[str, dict[str, float]]:
    return {"acme": {B: 6, C: 4}, "globex": {B: globex, C: 4}}


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.8", name, expected, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _short(at_s: float, lasts: str):
    """A slight fault of this length only."""
    return [{**SLIGHT[0], "start": f"{at_s - 12:g}s", "duration": lasts}]


def _gone(begin_s: float, end_s: float, flow: str = B, **each):
    return hurt(begin_s, end_s, "globex", flow, **{"status": 503, "latency_ms": 5, **each})


ROWS = [
    _row("five samples of a bystander", FEW, well(), load=_load(0.5)),
    _row("20 samples of a bystander", FEW, well(), load=_load(2)),
    _row(
        "20 samples, one bad",
        NOT_PASS,
        several((Stretch(12, 12.5, "globex", B), {"rate": 2, "status": 500})),
        load=_load(2),
    ),
    _row(
        "five samples, one bad",
        NOT_PASS,
        several((Stretch(12, 14, "globex", B), {"rate": 0.5, "status": 500})),
        load=_load(0.5),
    ),
    _row(
        "one bad of 60, at 40 requests since the fault",
        NOT_PASS,
        several((Stretch(12, 12.5, "globex", B), {"rate": 2, "status": 500})),
        load=_load(2),
    ),
    _row("a bystander gone for 1 s of 20", NOT_PASS, _gone(15, 16), **LONG),
    _row("a bystander gone for 2 s of 20", "fail", _gone(15, 17), **LONG),
    _row("a bystander gone for 3 s of 20", "fail", _gone(15, 18), **LONG),
    _row("a bystander's checkout gone for 3 s of 20", "fail", _gone(15, 18, C), **LONG),
    _row("a bystander hangs for 3 s of 20", "fail", _gone(15, 18, status=504, latency_ms=3000), **LONG),
    _row("a bystander is very slow for 3 s of 20", "fail", _gone(15, 18, status=200, latency_ms=2000), **LONG),
    _row(
        "half of a bystander's requests fail for 4 s",
        "fail",
        several(
            (Stretch(14, 18, "globex", B), {"rate": 3, "status": 500}), (Stretch(14, 18, "globex", B), {"rate": 3})
        ),
        **LONG,
    ),
    _row(
        "5 % of a bystander's requests fail, evenly",
        NOT_PASS,
        several(*((Stretch(t, t + 0.1, "globex", B), {"rate": 10, "status": 500}) for t in range(12, 32, 3))),
    ),
    _row(
        "10 % of a bystander's requests fail, evenly",
        NOT_PASS,
        several(*((Stretch(t, t + 0.2, "globex", B), {"rate": 5, "status": 500}) for t in range(12, 32, 2))),
    ),
    _row("two seconds of harm at the start of the recovery", "fail", _gone(22, 24)),
    _row("three seconds of harm at the start of the recovery", "fail", _gone(22, 25)),
    _row("harm at the end of the recovery", "fail", _gone(29, 32)),
    _row(
        "harm to all in the recovery",
        "fail",
        several(*((Stretch(22, 25, t, f), {"status": 500}) for t in ("acme", "globex") for f in (B, C))),
    ),
    _row(
        "half a second of harm under a fault of half a second",
        NOT_PASS,
        _gone(15, 15.6, rate=20),
        faults=_short(15, "500ms"),
    ),
    _row("a second of harm under a fault of one", NOT_PASS, _gone(15, 16), faults=_short(15, "1s")),
    _row("rows that ended before they were due", NOT_PASS, hurt(12, 22, "globex", B, latency_ms=-30)),
    _row("rows that ended before they were sent", NOT_PASS, hurt(12, 22, "globex", B, latency_ms=5, lag_ms=40)),
    _row("a twentieth of the rows ended before they were due", NOT_PASS, hurt(12, 13, "globex", B, latency_ms=-30)),
    _row(
        "unknown outcomes of a bystander", "fail", hurt(12, 22, "globex", B, status=0, error="timeout", latency_ms=3000)
    ),
    _row(
        "a phase of one second",
        NOT_PASS,
        well(),
        phases={"warmup": "2s", "baseline": "10s", "fault": "1s", "recovery": "10s"},
    ),
    _row(
        "a recovery of one second",
        NOT_PASS,
        hurt(12.9, 13.9, "globex", B, status=500),
        phases={"warmup": "2s", "baseline": "10s", "fault": "10s", "recovery": "1s"},
    ),
    _row(
        "p95 of 1.5 s against < 250 ms on one in ten",
        NOT_PASS,
        several(*((Stretch(t, t + 0.2, "globex", B), {"rate": 5, "latency_ms": 1500}) for t in range(12, 32, 2))),
    ),
]
