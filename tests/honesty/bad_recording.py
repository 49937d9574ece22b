"""A.2: the recording is not whole, or the run was not."""

import json

from harness.model.result.finding import How
from harness.model.run.events import Kind
from harness.recording.columns import Outcome, Table
from tests.honesty.acts import (
    BREAKER,
    BROWSE,
    LEDGER,
    LINK,
    PAY,
    RETRIES,
    SLIGHT,
    calls,
    contained,
    entering,
    event,
    hurt,
    ledger,
    lost,
    sent,
    several,
    uncontained,
    well,
)
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import Stretch, Written

LOST = "unknown telemetry lost"
HANG = [{"link": LINK, "latency": "10s"}]
DEAD = {"metric": {"name": "dead_total", "bound": "<= 2", "labels": {"stream": "orders"}}}


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.2", name, expected, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _only_the_entry_saw(written: Written) -> None:
    for number in range(20):
        written.trace(written.new_id(16), ("gateway", "catalog"), 13 + number / 4, 20, tenant="acme", failed=True)


def _stops_exporting(written: Written) -> None:
    for tenant in ("acme", "globex"):
        for number in range(40):
            at_s = 12.1 + number / 4
            trace = written.request(tenant, "checkout", at_s, latency_ms=130, chain=("gateway", "orders"))
            orders = written.span(trace, "orders", "server", at_s, 80)
            written.span(trace, "orders", "client", at_s, 60, parent=orders, link=PAY)
            link = LINK if tenant == "acme" else "payments -> provider-b"
            written.span(trace, "payments", "client", at_s, 127, link=link, tenant=tenant)


def _doubled(written: Written) -> None:
    """Twenty calls were tried three times; thirty good ones stand there ten times each."""
    calls(3, rate=2)(written)
    for number in range(30):
        ids = (written.new_id(16), written.new_id(8), written.new_id(8))
        begin = 1_780_000_000_000_000_000 + (12_000 + number * 300) * 1_000_000
        for _ in range(10):
            written.row(
                Table.SPANS,
                *ids,
                "orders",
                "c",
                "client",
                begin,
                begin + 40_000_000,
                "ok",
                None,
                PAY,
                0,
                200,
                None,
                None,
            )


CHECKOUTS = Stretch(12, 22, None, "checkout")
FEW = json.dumps([["globex", "browse", "fault", 80], ["acme", "browse", "fault", 60]])

ROWS = [
    _row("20 failed requests lost with their segment", LOST, well(), sent(660)),
    _row("seven of 647 requests lost", LOST, well(), sent(647)),
    _row("half of the requests lost", LOST, well(), sent(1280)),
    _row("20 requests of one bystander lost, counted by pair", LOST, well(), sent(660, by_pair=FEW)),
    _row("spans of retries lost, and the log says so", LOST, well(), lost("spans", 60), checks=(RETRIES,)),
    _row("all spans of retries lost", LOST, well(), lost("spans", 5000), checks=(RETRIES,)),
    _row("retries there, spans lost", NOT_PASS, entering, calls(3), lost("spans", 500), checks=(RETRIES,)),
    _row(
        "span events lost, the breaker seems not to close",
        NOT_PASS,
        uncontained,
        lost("span events", 500),
        checks=(BREAKER,),
        faults=HANG,
    ),
    _row("40 acknowledged checkouts, 20 in the ledger", LOST, ledger(writes=64), checks=(LEDGER,)),
    _row("acknowledged checkouts, no ledger at all", LOST, ledger(writes=0), checks=(LEDGER,)),
    _row("a gap of two seconds in every signal", "unknown load not delivered", well(Stretch(15, 17))),
    _row("a gap of five seconds in every signal", "unknown load not delivered", well(Stretch(15, 20))),
    _row("a gap at the start of the recovery", "unknown load not delivered", well(Stretch(22, 26))),
    _row(
        "a bystander without rows for three seconds",
        "unknown load not delivered",
        well(Stretch(15, 18.5, "globex", "browse")),
    ),
    _row(
        "a service that died under the fault",
        "fail",
        well(),
        event(15, Kind.PROCESS_EXITED, service="catalog", pid=7, code=1, expected=False),
    ),
    _row(
        "a service that crashed afterwards",
        "fail",
        well(),
        event(25, Kind.PROCESS_EXITED, service="orders", pid=7, code=139, expected=False),
    ),
    _row(
        "a service that died in the baseline",
        NOT_PASS,
        well(),
        event(5, Kind.PROCESS_EXITED, service="orders", pid=7, code=1, expected=False),
    ),
    _row(
        "a service that was killed from outside",
        NOT_PASS,
        well(),
        event(15, Kind.PROCESS_EXITED, service="catalog", pid=7, code=-9, expected=False),
    ),
    _row("failed requests that only the entry's spans show", LOST, well(), _only_the_entry_saw),
    _row("a service stops exporting, its callers go on", LOST, well(CHECKOUTS), _stops_exporting, checks=(RETRIES,)),
    _row("doubled exports dilute the retries", "fail", entering, _doubled, checks=(RETRIES,)),
    _row("metrics lost, and the log says so", LOST, well(), lost("metrics", 500), checks=(DEAD,)),
    _row("the harness was killed in the fault phase", NOT_PASS, well(), read={"how": None, "ended_s": 15}),
    _row("the harness was killed after its last phase", NOT_PASS, well(), read={"how": None}),
    _row("the run was interrupted", "unknown interrupted", well(), read={"how": How.INTERRUPTED, "cause": "SIGINT"}),
    _row("the run failed", "unknown interrupted", well(), read={"how": How.FAILED, "cause": "a bug"}),
    _row("no phase was recorded", NOT_PASS, well(), read={"windows": False}),
    _row("nothing was recorded at all", NOT_PASS),
    _row("no request was recorded", NOT_PASS, lambda w: w.fault_of_the_plan()),
    _row("the rows end before the recovery", NOT_PASS, well(Stretch(22, 32))),
    _row("no rows of one bystander at all", NOT_PASS, well(Stretch(0, 32, "globex"))),
    _row("no rows of one bystander's flow under the fault", NOT_PASS, well(Stretch(12, 22, "globex", "checkout"))),
    _row(
        "requests of a bystander were never sent", NOT_PASS, hurt(12, 22, "globex", "browse", outcome=Outcome.DROPPED)
    ),
    _row("the generator ended with an error", NOT_PASS, well(), sent(640, code=1)),
    _row(
        "a bystander fails, its good rows stand there three times",
        "fail",
        several((Stretch(12, 22, "globex", "browse"), {"status": 500})),
    ),
    _row("contained, and lines of events lost", LOST, contained, lost("events", 50), checks=(BREAKER,), faults=HANG),
]
