"""A.7: the harness, its load or its machine was ill for a time, or the target was, before the fault."""

from harness.recording.columns import Outcome
from tests.honesty.acts import (
    BREAKER,
    BROWSE,
    LINK,
    OPENS,
    SLIGHT,
    calm,
    hang,
    hurt,
    planned,
    samples,
    sent,
    several,
    uncontained,
    well,
)
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import Stretch

NOT_DELIVERED, SICK = "unknown load not delivered", "unknown sick baseline"
PAIRS = tuple((tenant, flow) for tenant in ("acme", "globex") for flow in ("browse", "checkout"))
GLOBEX = Stretch(12, 22, "globex", "browse")
HANG = [{"link": LINK, "latency": "10s"}]


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.7", name, expected, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _all(begin_s: float, end_s: float, **each):
    """Every flow of every tenant is so for some seconds."""
    return several(*((Stretch(begin_s, end_s, tenant, flow), each) for tenant, flow in PAIRS))


def _late(begin_s: float, end_s: float, lag_ms: float):
    return _all(begin_s, end_s, lag_ms=lag_ms, latency_ms=130 + lag_ms)


def _busy(share: float, begin_s: float, end_s: float, foreign: float | None = None, **each):
    """A machine that is so busy for some seconds; globex browses meanwhile as *each* says."""

    def write(written) -> None:
        calm(Stretch(begin_s, end_s, "globex", "browse"), end_s=32)(written)
        written.fault_of_the_plan()
        sent(1)(written)
        written.requests("globex", "browse", begin_s, end_s, rate=6, **each)
        for second in range(33):
            inside = begin_s < second <= end_s
            written.metric(second, "host", "host_cpu_busy_ratio", share if inside else 0.5)
            if foreign is not None:
                written.metric(second, "host", "host_cpu_foreign_ratio", foreign if inside else 0.0)

    return write


def _hang_from(begin_s: float):
    """Every checkout of acme hangs from then on, before the fault is asked for."""

    def write(written) -> None:
        written.load_as_planned(but=[Stretch(begin_s, 22, "acme", "checkout")])
        written.requests("acme", "checkout", begin_s, 22, rate=4, status=504, latency_ms=3000)
        written.fault_of_the_plan()

    return write


ROWS = [
    _row("generator 400 ms late in the fault phase, bystanders look slow", NOT_DELIVERED, _late(12, 22, 400)),
    _row("generator 150 ms late in the fault phase", NOT_DELIVERED, _late(12, 22, 150)),
    _row("generator 2 s late in the recovery", NOT_DELIVERED, _late(22, 32, 2000)),
    _row("generator 400 ms late all along", NOT_DELIVERED, _late(0, 32, 400)),
    _row(
        "machine 97 % busy in the fault phase, a bystander looks slow",
        NOT_DELIVERED,
        _busy(0.97, 12, 22, latency_ms=400),
    ),
    _row("… and all looks well", NOT_DELIVERED, _busy(0.97, 12, 22)),
    _row("another stack took the machine in the fault phase", NOT_DELIVERED, _busy(0.97, 12, 22, 0.4, latency_ms=400)),
    _row("another stack took the machine in the recovery", NOT_DELIVERED, _busy(0.97, 22, 32, 0.4, latency_ms=900)),
    _row("a suspended machine: four seconds of nothing", NOT_DELIVERED, well(Stretch(15, 19))),
    _row("a suspended machine in the recovery", NOT_DELIVERED, well(Stretch(25, 30))),
    _row("requests of a bystander were dropped", NOT_PASS, hurt(12, 22, "globex", "browse", outcome=Outcome.DROPPED)),
    _row("requests of all were dropped for three seconds", NOT_PASS, _all(14, 17, outcome=Outcome.DROPPED)),
    _row("half of a bystander's load was not sent", NOT_DELIVERED, hurt(12, 22, "globex", "browse", rate=2)),
    _row("a bystander's load came at four times its rate", NOT_PASS, hurt(12, 22, "globex", "browse", rate=1)),
    _row("503 from 2 s before the fault", SICK, hurt(10, 22, "globex", "browse", status=503, latency_ms=5)),
    _row("503 of a victim from 2 s before the fault", SICK, hurt(10, 22, "acme", "checkout", status=503, latency_ms=5)),
    _row(
        "503 from 1 s before the fault, then well", SICK, hurt(10.5, 12, "globex", "browse", status=503, latency_ms=5)
    ),
    _row("a hang from 7.9 s of a baseline of 10 s on", SICK, _hang_from(9.9), faults=HANG, checks=(BREAKER,)),
    _row("a hang from 4 s of the baseline on", SICK, _hang_from(6), faults=HANG, checks=(BREAKER,)),
    _row("failing since the start", SICK, hurt(0, 32, "globex", "browse", status=500)),
    _row("too slow since the start", SICK, hurt(0, 32, "globex", "browse", latency_ms=900)),
    _row("a third of the baseline failed", SICK, hurt(2, 5, "globex", "browse", status=500)),
    _row("no baseline rows", NOT_PASS, well(Stretch(2, 12))),
    _row(
        "a clock that stepped back: rows end before they were due",
        NOT_PASS,
        hurt(12, 22, "globex", "browse", latency_ms=-50),
    ),
    _row(
        "contained, on a machine that was full",
        NOT_DELIVERED,
        hang(),
        OPENS,
        planned(),
        samples("host", "host_cpu_busy_ratio", lambda _s: 1.6, begin_s=0.1),
        faults=HANG,
        checks=(BREAKER,),
    ),
    _row(
        "a breaker that did not open on a machine that was full",
        NOT_DELIVERED,
        uncontained,
        samples("host", "host_cpu_busy_ratio", lambda _s: 1.6, begin_s=0.1),
        faults=HANG,
        checks=(BREAKER,),
    ),
    _row(
        "a late generator, and a claim that only absence breaks",
        NOT_PASS,
        _late(12, 22, 300),
        checks=({"recovery": {"within": "5s"}},),
    ),
]
