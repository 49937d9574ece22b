"""Runs that any SRE would accept: contained harm, noise, slight clocks, sources that are absent."""

from harness.model.run.events import Kind
from tests.checks.stories import ACME_CHECKOUT
from tests.honesty.acts import (
    BREAKER,
    BROWSE,
    FIRST,
    LEDGER,
    LINK,
    OPENS,
    PAY,
    RETRIES,
    SLIGHT,
    TIMED_OUT,
    calls,
    calm,
    checkouts,
    contained,
    entering,
    event,
    fault,
    hang,
    hurt,
    ledger,
    lost,
    planned,
    read_back,
    rows_of_ledger,
    samples,
    sent,
    several,
    uncontained,
    well,
)
from tests.honesty.rows import Row, good
from tests.recordings import Stretch, Written

B, C = "browse", "checkout"
KILL = [{"service": "provider-a", "kill": True}]
LONG = {"phases": {"warmup": "2s", "baseline": "20s", "fault": "20s", "recovery": "20s"}}


def _slight(name, *acts, **how) -> Row:
    return good(name, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _link(**what):
    return [{"link": LINK, **what}]


def _mixed(written: Written) -> None:
    """One call in five is tried twice."""
    calls(2, rate=1)(written)
    for _ in range(4):
        calls(1, rate=1)(written)


def _repeats(written: Written) -> None:
    written.load_as_planned(but=[ACME_CHECKOUT])
    for number in range(5):
        begin = 12 + 2 * number
        written.requests("acme", "checkout", begin, begin + 1, rate=4, **TIMED_OUT)
        written.requests("acme", "checkout", begin + 1, begin + 2, rate=4)
        written.event(begin, Kind.FAULT_APPLIED, **FIRST, repetition=number + 1)
        written.event(begin + 1, Kind.FAULT_UNDONE, **FIRST, by="harness", repetition=number + 1)
    written.event(21, Kind.FAULT_OBSERVED, **FIRST, connections=4, bytes=900)


def _clock(off_s: float):
    """The spans of orders are off by so much."""

    def write(written: Written) -> None:
        well(Stretch(0, 32, None, C))(written)
        for tenant in ("acme", "globex"):
            way = LINK if tenant == "acme" else "payments -> provider-b"
            for number in range(128):
                at_s = number / 4 + 0.1
                more = 30 if 12 <= at_s < 22 and tenant == "acme" else 0
                trace = written.request(tenant, C, at_s, latency_ms=100 + more, chain=("gateway",))
                call = written.span(trace, "gateway", "client", at_s, 95 + more, link="gateway -> orders")
                orders = written.span(trace, "orders", "server", at_s + off_s, 92 + more, parent=call)
                inner = written.span(trace, "orders", "client", at_s + off_s, 90 + more, parent=orders, link=PAY)
                pays = written.span(trace, "payments", "server", at_s, 88 + more, parent=inner)
                outer = written.span(trace, "payments", "client", at_s, 86 + more, parent=pays, link=way)
                written.span(trace, way.rpartition(" ")[2], "server", at_s, 84 + more, parent=outer)

    return write


def _state(written: Written) -> None:
    for second in range(32):
        written.metric(second, "payments", "resilience_breaker_state", 2 if 13.5 <= second < 23 else 0, name=LINK)


def _surge(written: Written) -> None:
    written.load_as_planned(but=[Stretch(12, 22, "globex", B)])
    written.requests("globex", B, 12, 22, rate=6)
    for flow, rate in ((B, 24), (C, 16)):
        written.requests(
            "globex", flow, 12, 22, rate=rate, status=429, latency_ms=4, retry_after=True, chain=("gateway",)
        )
    written.fault_of_the_plan(felt=500)


def _killed(written: Written) -> None:
    checkouts(12, 13.5, status=503, latency_ms=20)(written)
    fault(connections=-1, bytes=-1, touched=1, unit="processes")(written)
    written.event(12.05, Kind.PROCESS_EXITED, service="provider-a", pid=7, code=-9, expected=True)
    written.event(12.5, Kind.PROCESS_STARTED, service="provider-a", pid=8)


def _two(written: Written) -> None:
    """Two independent slight faults: each tenant's provider."""
    under = [Stretch(12, 22, tenant, C) for tenant in ("acme", "globex")]
    written.load_as_planned(but=under)
    for tenant in ("acme", "globex"):
        written.requests(tenant, C, 12, 22, rate=4, latency_ms=130)
    written.fault_of_the_plan()


ROWS = [
    good("a hang that a breaker contains", contained, checks=(BREAKER, BROWSE)),
    good("… its victims named, its metric agrees", contained, _state, checks=(BREAKER,)),
    good("… told by its calls alone", hang(), planned(), checks=(BREAKER,)),
    good(
        "… told by events, without any span",
        lambda w: w.load_as_planned(but=[ACME_CHECKOUT], chain=()),
        lambda w: w.requests("acme", C, 12, 22, rate=4, status=503, latency_ms=12, chain=()),
        OPENS,
        planned(),
        checks=(BREAKER,),
    ),
    good(
        "… and every event stands there twice",
        contained,
        lambda w: w._events.extend([e for e in w._events if e.kind is Kind.BREAKER_CHANGED]),
        checks=(BREAKER,),
    ),
    good(
        "… and was read back each few seconds",
        contained,
        *(read_back(t, intact=True) for t in (13, 16, 19, 21.9)),
        checks=(BREAKER,),
    ),
    good("… and every bystander is asked for recovery", contained, checks=(BREAKER, {"recovery": {"within": "5s"}})),
    good("… and the traces blame it", contained, checks=({"trace": {"complete": ">= 99%", "blames": LINK}},)),
    good(
        "… within a bulkhead that leaves the others alone",
        contained,
        checks=(BREAKER, {"bulkhead": {"link": LINK, "limit": 12}}),
    ),
    good("… and checkout keeps its deadline", contained, checks=(BREAKER, {"deadline": {"flow": C, "within": "2s"}})),
    good("… applied half a second late", hang(), OPENS, fault(12.5), checks=(BREAKER,)),
    good("a hang that only the victim feels, which may", uncontained, checks=(BROWSE,)),
    good("a full bulkhead that holds", uncontained, checks=({"bulkhead": {"link": LINK, "limit": 12}},)),
    good(
        "a link that is down, contained",
        checkouts(status=503, latency_ms=10),
        fault(),
        checks=(BROWSE,),
        faults=_link(down=True),
    ),
    good(
        "resets, contained",
        checkouts(status=502, latency_ms=10),
        fault(),
        checks=(BROWSE,),
        faults=_link(reset_peer="0s"),
    ),
    good("a black hole, contained", checkouts(**TIMED_OUT), fault(), checks=(BROWSE,), faults=_link(timeout="0s")),
    good(
        "a provider that is paused",
        checkouts(**TIMED_OUT),
        fault(connections=-1, bytes=-1, touched=1, unit="processes"),
        checks=(BROWSE,),
        faults=[{"service": "provider-a", "pause": True}],
    ),
    good("a kill with a restart", _killed, checks=(BROWSE,), faults=KILL),
    good(
        "a repeat of five, all came",
        _repeats,
        checks=(BROWSE,),
        faults=_link(latency="10s", duration="1s", repeat={"every": "2s", "times": 5}),
        load={t: {B: 12, C: 4} for t in ("acme", "globex")},
    ),
    good(
        "a fault for one tenant alone",
        checkouts(**TIMED_OUT),
        fault(requests=40),
        checks=(BROWSE,),
        faults=_link(latency="10s", scope={"tenant": "acme"}),
    ),
    good(
        "a surge that its tenant's limit refuses",
        _surge,
        checks=({"refusals": {"tenant": "globex", "share": ">= 30%"}},),
        faults=[{"surge": {"tenant": "globex", "times": 5}}],
        blast_radius={"globex": {f: {"errors": "<= 100%"} for f in (B, C)}},
    ),
    good(
        "two independent slight faults",
        _two,
        checks=(BROWSE,),
        faults=[*SLIGHT, {"link": "payments -> provider-b", "latency": "30ms"}],
        blast_radius={t: {C: {"errors": "<= 5%", "p95": "<= 1s"}} for t in ("acme", "globex")},
    ),
    good("few retries that help", entering, _mixed, checks=(RETRIES, BROWSE), faults=SLIGHT),
    _slight("a slight delay that nobody notices", well()),
    _slight("… and no traces at all", calm(chain=()), planned()),
    _slight("… and no metric of the target", well(), sent(640)),
    _slight("… and the generator says how many it sent", well(), sent(640, by_pair='[["globex","browse","fault",60]]')),
    _slight("… and spans lost, on which nothing stands", well(), lost("spans", 5000)),
    _slight(
        "… and a service without metrics for a while",
        well(),
        samples("orders", "up", lambda s: float(not 14 <= s < 18)),
    ),
    _slight("… and clocks that are off by 50 ms", _clock(0.05)),
    _slight("… and clocks that are off by 2 s, which is measured", _clock(2.0)),
    _slight("… at eight times the load", well(), load={t: {B: 40, C: 10} for t in ("acme", "globex")}),
    _slight("… at a low rate, in long phases", well(), load={t: {B: 3, C: 3} for t in ("acme", "globex")}, **LONG),
    _slight("… with one bystander only", well(), load={"acme": {C: 4}, "globex": {B: 6}}, **LONG),
    _slight("… with three tenants", well(), load={t: {B: 6, C: 4} for t in ("acme", "globex", "initech")}),
    _slight("… with a flow of two steps", well(), load={t: {B: 6, C: 4, "login": 4} for t in ("acme", "globex")}),
    _slight("a lone slow request of a bystander", hurt(15, 15.17, "globex", B, latency_ms=900)),
    _slight("a lone slow request in the recovery", hurt(25, 25.17, "globex", B, latency_ms=900)),
    _slight("a lone slow request in the baseline", hurt(5, 5.17, "globex", B, latency_ms=900)),
    _slight(
        "a lone failure among 800 where 0.5 % are allowed",
        hurt(15, 15.025, "globex", B, rate=40, status=500),
        load={"acme": {B: 6, C: 4}, "globex": {B: 40, C: 4}},
    ),
    _slight(
        "a lone failure in the baseline of a busy flow",
        hurt(5, 5.025, "globex", B, rate=40, status=500),
        load={"acme": {B: 6, C: 4}, "globex": {B: 40, C: 4}},
    ),
    _slight("a bystander 20 % slower", hurt(12, 22, "globex", B, latency_ms=24)),
    _slight(
        "all tenants 20 % slower, as machines are",
        several(*((Stretch(12, 22, t, B), {"latency_ms": 24}) for t in ("acme", "globex"))),
    ),
    _slight("a generator that is 5 ms late", hurt(12, 22, "globex", B, lag_ms=5, latency_ms=25)),
    _slight(
        "a lag of 400 ms for 1 s of 20",
        several(
            *((Stretch(28, 29, t, f), {"lag_ms": 400, "latency_ms": 500}) for t in ("acme", "globex") for f in (B, C))
        ),
        **LONG,
    ),
    _slight("every acknowledged write is there", ledger(), checks=(LEDGER,)),
    _slight(
        "a write without an answer is there",
        ledger(),
        rows_of_ledger("acme", "late", "invoke", "unknown", "read"),
        checks=(LEDGER,),
    ),
    _slight(
        "a write without an answer is not there",
        ledger(),
        rows_of_ledger("acme", "late", "invoke", "unknown"),
        checks=(LEDGER,),
    ),
    _slight("a key of yesterday is there", ledger(), rows_of_ledger("acme", "old", "before", "read"), checks=(LEDGER,)),
    _slight(
        "a counter that does not rise",
        well(),
        samples("orders", "dead_total", lambda _s: 5),
        checks=({"metric": {"name": "dead_total", "bound": "<= 2"}},),
    ),
    _slight(
        "a counter that restarted from 0 and stays there",
        well(),
        samples("orders", "dead_total", lambda s: 5 if s < 15 else 0),
        checks=({"metric": {"name": "dead_total", "bound": "<= 2"}},),
    ),
    _slight(
        "a gauge in seconds within 500 ms",
        well(),
        samples("orders", "queue_age_seconds", lambda _s: 0.2),
        checks=({"metric": {"name": "queue_age_seconds", "measure": "max", "bound": "<= 500ms"}},),
    ),
    _slight(
        "a service that was told to stop",
        well(),
        event(15, Kind.PROCESS_EXITED, service="catalog", pid=7, code=0, expected=True),
    ),
    _slight(
        "404 that the baseline knows, too",
        well(),
        lambda w: [w.request("globex", "login", t, status=404, step="home") for t in (3, 9, 15, 18, 25)],
    ),
]
