"""A.1: the fault was not there as asked, did nothing, or met nobody whom the claim is about."""

from harness.model.run.events import Kind
from tests.honesty.acts import (
    BREAKER,
    BROWSE,
    FIRST,
    LINK,
    OPENS,
    SLIGHT,
    TIMED_OUT,
    changes,
    checkouts,
    contained,
    event,
    fault,
    hang,
    planned,
    read_back,
    well,
)
from tests.honesty.rows import Row, bad
from tests.recordings import Written

UNSEEN = "unknown not observed"
KILL = {"service": "provider-a", "kill": True}


def _link(**what):
    return [{"link": LINK, **what}]


def _unseen(name, *acts, **how) -> Row:
    return bad("A.1", name, UNSEEN, *acts, **{"checks": (BROWSE,), **how})


def _came(times: int):
    """A fault of a second every two seconds that came so many times of five."""

    def write(written: Written) -> None:
        checkouts(12, 12)(written) if not times else checkouts(12, 12 + 2 * times, **TIMED_OUT)(written)
        written.event(12, Kind.FAULT_ASKED, **FIRST, kind="x", place="y")
        for number in range(times):
            written.event(12 + 2 * number, Kind.FAULT_APPLIED, **FIRST, repetition=number + 1)
            written.event(13 + 2 * number, Kind.FAULT_UNDONE, **FIRST, by="harness", repetition=number + 1)
        written.event(21, Kind.FAULT_OBSERVED, **FIRST, connections=4, bytes=900)

    return write


FIVE = _link(latency="10s", duration="1s", repeat={"every": "2s", "times": 5})

ROWS = [
    _unseen("applied 9.5 s into a phase of 10 s", hang(), OPENS, fault(21.5)),
    _unseen("applied in the middle of its phase", hang(), OPENS, fault(17)),
    _unseen("applied after its phase", hang(), OPENS, fault(22.5, 24)),
    _unseen("asked for, never applied", hang(), OPENS, planned(applied=False)),
    _unseen("no word of any fault", hang(), OPENS),
    _unseen("latency 10 s, all calls as before", checkouts(), fault()),
    _unseen("latency 10 s, all calls as before, the proxy counted many", checkouts(), planned(felt=7600)),
    _unseen("latency 10 s asked for, calls took 1 s", checkouts(latency_ms=1000), fault()),
    _unseen(
        "latency 400 ms asked for, calls took 200 ms more",
        checkouts(latency_ms=300),
        fault(),
        faults=_link(latency="400ms"),
    ),
    _unseen("latency 300 ms asked for, calls as before", checkouts(), fault(), faults=_link(latency="300ms")),
    _unseen("black hole, all calls as before", checkouts(), fault(), faults=_link(timeout="0s")),
    _unseen("link down, all calls as before", checkouts(), fault(), faults=_link(down=True)),
    _unseen(
        "link down for half of the calls",
        checkouts(12, 17, status=503, latency_ms=10),
        fault(),
        faults=_link(down=True),
    ),
    _unseen("resets, all calls as before", checkouts(), fault(), faults=_link(reset_peer="0s")),
    _unseen("bandwidth of nothing, all calls as before", checkouts(), fault(), faults=_link(bandwidth=0)),
    _unseen("half of the calls show it", checkouts(12, 17, **TIMED_OUT), fault()),
    _unseen("repeat of five, one came", _came(1), faults=FIVE),
    _unseen("repeat of five, four came", _came(4), faults=FIVE),
    _unseen("repeat of five, none came", _came(0), faults=FIVE),
    _unseen("lifted by the reaper after 1 s of 10", checkouts(12, 13, **TIMED_OUT), fault(12, 13, by="reaper")),
    _unseen("SIGSTOP of the harness, lifted by the reaper after 4 s", hang(), OPENS, fault(12, 16, by="reaper")),
    _unseen("abort --keep-running after 1 s", hang(), OPENS, fault(12, 13, by="abort")),
    _unseen(
        "POST /reset after 1 s",
        hang(),
        OPENS,
        read_back(13.5, intact=False, last_s=13, found="gone", lifted_by="somebody"),
        fault(),
    ),
    _unseen(
        "attributes of the toxic changed after 1 s",
        hang(),
        OPENS,
        read_back(13.5, intact=False, last_s=13, found="latency 20 for 10000", lifted_by="somebody"),
        fault(),
    ),
    _unseen(
        "weaker than asked for at its undo",
        hang(),
        OPENS,
        read_back(22, intact=False, found="latency 20 for 10000"),
        fault(),
    ),
    _unseen(
        "gone in the middle, then back",
        hang(),
        OPENS,
        read_back(15, intact=False, last_s=14.5, found="gone"),
        read_back(18, intact=True),
        fault(),
    ),
    _unseen(
        "the victims never use the link",
        well(),
        faults=SLIGHT,
        blast_radius={"globex": {"checkout": {"errors": "<= 50%"}}},
    ),
    _unseen(
        "the victims' flow never uses the link",
        well(),
        faults=SLIGHT,
        blast_radius={"acme": {"browse": {"errors": "<= 50%"}}},
    ),
    _unseen(
        "two faults on a link, the first hides the second",
        checkouts(status=503, latency_ms=10),
        planned(),
        faults=[*_link(down=True), *_link(latency="10s")],
    ),
    _unseen(
        "two faults, the second was never applied",
        hang(),
        OPENS,
        fault(),
        faults=[*_link(latency="10s"), {"link": "payments -> provider-b", "latency": "100ms"}],
    ),
    _unseen(
        "nothing was killed", checkouts(), fault(connections=-1, bytes=-1, touched=0, unit="processes"), faults=[KILL]
    ),
    _unseen(
        "paused, and calls go on as before",
        checkouts(),
        fault(connections=-1, bytes=-1, touched=1, unit="processes"),
        faults=[{"service": "provider-a", "pause": True}],
    ),
    _unseen(
        "a lock for which nobody waited",
        checkouts(),
        fault(connections=-1, bytes=-1, touched=0, unit="waiting backends"),
        faults=[{"service": "gateway", "lock_table": "orders"}],
    ),
    _unseen("the proxy saw no connection", hang(), OPENS, fault(connections=0, bytes=0)),
    bad(
        "A.1",
        "the breaker was open before it came",
        "unknown sick baseline",
        hang(opened_s=12),
        changes((8, "open"), (23, "closed")),
        fault(),
        checks=(BREAKER,),
    ),
    bad(
        "A.1",
        "a surge that was not delivered",
        "unknown load not delivered",
        well(),
        faults=[{"surge": {"tenant": "globex", "times": 5}}],
        blast_radius={"globex": {"browse": {"errors": "<= 50%"}}},
        checks=(BROWSE,),
    ),
    _unseen("no traces, and nobody's requests changed", lambda w: w.load_as_planned(chain=()), fault()),
    _unseen(
        "it could not be applied",
        checkouts(),
        event(12, Kind.FAULT_ASKED, **FIRST, kind="x", place="y"),
        event(12.1, Kind.FAULT_FAILED, **FIRST, step="apply", cause="refused"),
    ),
    _unseen(
        "read back twice, gone at the first look", hang(), OPENS, read_back(12.5, intact=False, found="gone"), fault()
    ),
    bad(
        "A.1",
        "contained, but the victims are others",
        "not pass",
        contained,
        checks=(BROWSE,),
        blast_radius={"globex": {"browse": {"errors": "<= 50%"}}},
    ),
]
