"""A.5: a mechanism of which one source, one process, one flow or one tenant tells, and the others contradict it."""

from harness.model.run.events import Kind
from tests.checks.stories import ACME_CHECKOUT, OPENED_S
from tests.honesty.acts import (
    BREAKER,
    OPENS,
    PAY,
    REFUSED,
    RETRIES,
    SLIGHT,
    TIMED_OUT,
    calls,
    changes,
    contained,
    entering,
    event,
    hang,
    hurt,
    planned,
    samples,
    uncontained,
    well,
)
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import FAULT_S, LINK, RECOVERY_S, Stretch, Written

SICK, DISAGREE = "unknown sick baseline", "unknown sources disagree"
CHECKOUTS = Stretch(12, 22, None, "checkout")
CHAIN = ("gateway", "orders", "payments", "provider-a")
STATE = "resilience_breaker_state"


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.5", name, expected, *acts, **{"checks": (BREAKER,), **how})


def _retries(name, expected, *acts, checks=(RETRIES,)) -> Row:
    return bad("A.5", name, expected, *acts, checks=checks, faults=SLIGHT)


def _hidden(servers: int, *, tenants=("acme", "globex")):
    """Each client span of orders has so many server spans behind it."""

    def write(written: Written) -> None:
        for tenant in tenants:
            for number in range(40):
                at_s = 12.1 + number / 4
                trace = written.request(tenant, "checkout", at_s, latency_ms=130, chain=("gateway",))
                orders = written.span(trace, "orders", "server", at_s, 110, tenant=tenant)
                call = written.span(trace, "orders", "client", at_s, 100, parent=orders, link=PAY, tenant=tenant)
                for again in range(servers):
                    written.span(trace, "payments", "server", at_s + again / 40, 20, parent=call, tenant=tenant)
                way = "payments -> provider-a" if tenant == "acme" else "payments -> provider-b"
                written.span(trace, "payments", "client", at_s, 60, parent=call, link=way, tenant=tenant)

    return write


def _mixed(written: Written) -> None:
    """Half of the calls are refused, the other half goes through a second process whose breaker never opens."""
    well(ACME_CHECKOUT)(written)
    written.requests("acme", "checkout", FAULT_S, OPENED_S, rate=4, **TIMED_OUT)
    written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=2, **REFUSED)
    written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=2, **TIMED_OUT)


def _calls(count: int, begin_s: float, step_s: float, **about):
    def write(written: Written) -> None:
        for number in range(count):
            written.call(begin_s + number * step_s, 500, failed=True, **about)

    return write


def _slow_orders(written: Written) -> None:
    """Orders is slow by itself: its calls are as slow as the fault makes them, and no slower."""
    well(ACME_CHECKOUT)(written)
    for number in range(40):
        at_s = 12.1 + number / 4
        trace = written.request("acme", "checkout", at_s, latency_ms=1500, status=504, chain=())
        parent = written.span(trace, "gateway", "server", at_s, 1490, failed=True)
        parent = written.span(
            trace, "gateway", "client", at_s, 1480, parent=parent, link="gateway -> orders", failed=True
        )
        parent = written.span(trace, "orders", "server", at_s, 1470, parent=parent, failed=True)
        parent = written.span(trace, "orders", "client", at_s, 135, parent=parent, link=PAY)
        parent = written.span(trace, "payments", "server", at_s, 132, parent=parent)
        parent = written.span(trace, "payments", "client", at_s, 130, parent=parent, link=LINK)
        written.span(trace, "provider-a", "server", at_s, 128, parent=parent)


def _state(*open_: tuple[float, float], **labels):
    return samples("payments", STATE, lambda s: 2 if any(a <= s < b for a, b in open_) else 0, name=LINK, **labels)


ROWS = [
    _retries("three server spans behind each client span", NOT_PASS, well(CHECKOUTS), _hidden(3)),
    _retries("two server spans behind each client span", NOT_PASS, well(CHECKOUTS), _hidden(2)),
    _retries(
        "two server spans behind one tenant's client spans",
        NOT_PASS,
        well(CHECKOUTS),
        _hidden(2, tenants=("acme",)),
        _hidden(1, tenants=("globex",)),
    ),
    _retries("each call is tried three times", "fail", entering, calls(3)),
    _retries(
        "one tenant of two tries three times",
        "fail",
        entering,
        calls(3, tenant="acme"),
        *[calls(1, tenant="globex")] * 10,
    ),
    _retries(
        "two seconds of five tries each, then calm",
        "fail",
        entering,
        calls(5, length_s=2),
        *[calls(1, begin_s=16, length_s=6)] * 5,
    ),
    _retries(
        "a few calls that are tried thirty times",
        NOT_PASS,
        entering,
        calls(30, length_s=0.4),
        *[calls(1, begin_s=12.4, length_s=9)] * 20,
    ),
    _retries(
        "all tried at once, without a pause",
        "fail",
        entering,
        calls(2),
        checks=({"retries": {"link": PAY, "amplification": "<= 3", "backoff": {"first": "1s", "longest": "1s"}}},),
    ),
    _row("never opened", "fail", uncontained),
    _row("opened too late", "fail", hang(18), planned(), changes((18, "open"), (22.5, "half_open"), (23, "closed"))),
    _row("never closed", NOT_PASS, hang(), planned(), changes((OPENED_S, "open"))),
    _row(
        "never closed, and checkout stays away",
        "fail",
        well(Stretch(12, 32, "acme", "checkout")),
        lambda w: w.requests("acme", "checkout", 12, 13.5, rate=4, **TIMED_OUT),
        lambda w: w.requests("acme", "checkout", 13.5, 32, rate=4, **REFUSED),
        changes((OPENED_S, "open")),
    ),
    _row(
        "a second process never closes",
        "fail",
        contained,
        event(13.6, Kind.BREAKER_CHANGED, service="payments-2", breaker=LINK, from_state="closed", to_state="open"),
    ),
    _row(
        "a second process never closes, by its metric",
        "fail",
        hang(),
        planned(),
        _state((OPENED_S, 23), instance="a"),
        _state((OPENED_S, 99), instance="b"),
    ),
    _row("a second process never opens", "fail", _mixed, OPENS),
    _row(
        "open before the fault",
        SICK,
        hang(),
        planned(),
        changes((8, "open"), (14, "half_open"), (14.5, "open"), (23, "closed")),
    ),
    _row("open all along, by its metric", SICK, hang(), planned(), _state((0, 99))),
    _row("events say open, the metric says closed", DISAGREE, contained, _state()),
    _row(
        "events say open, and all calls go on",
        "fail",
        well(ACME_CHECKOUT),
        lambda w: w.requests("acme", "checkout", 12, 22, rate=4, status=504, latency_ms=200),
        changes((14, "open"), (23, "closed")),
    ),
    _row("six probes at once in half open", "fail", contained, _calls(6, 20.1, 0.01)),
    _row("another tenant's calls go on", "fail", contained, _calls(6, 14, 1, tenant="globex")),
    _row("answers in 900 ms while open", "fail", hang(latency_ms=900), planned(), OPENS),
    _row(
        "answers in 900 ms, diluted by a flow without the link",
        "fail",
        hang(latency_ms=900),
        planned(),
        OPENS,
        blast_radius={"acme": {"checkout": {"errors": "<= 100%"}, "browse": {"errors": "<= 100%"}}},
    ),
    _row(
        "opened for one class of tenants too late",
        "fail",
        contained,
        changes((18, "open"), (22.5, "half_open"), (23, "closed"), link=f"{LINK} [gold]"),
    ),
    _row(
        "more calls at once than the bulkhead has places",
        "fail",
        uncontained,
        checks=({"bulkhead": {"link": LINK, "limit": 8}},),
    ),
    _row("a bulkhead whose limit nobody knows", NOT_PASS, uncontained, checks=({"bulkhead": {"link": LINK}},)),
    _row(
        "a bulkhead, and the neighbour is slow",
        "fail",
        hurt(12, 22, "globex", "checkout", latency_ms=900),
        checks=({"bulkhead": {"link": LINK, "limit": 12}},),
        faults=SLIGHT,
    ),
    _row(
        "slow answers blame another service", "fail", _slow_orders, checks=({"trace": {"blames": LINK}},), faults=SLIGHT
    ),
    _row(
        "traces without their entry",
        "fail",
        hurt(12, 22, "globex", "browse", chain=("catalog",)),
        checks=({"trace": {"complete": ">= 99%"}},),
        faults=SLIGHT,
    ),
    _row(
        "a deadline that is not kept", "fail", uncontained, checks=({"deadline": {"flow": "checkout", "within": "2s"}},)
    ),
    _row(
        "refusals without Retry-After",
        "fail",
        hurt(12, 22, "globex", "browse", rate=6, status=429, latency_ms=3),
        checks=({"refusals": {"tenant": "globex", "share": ">= 30%"}},),
        faults=SLIGHT,
        blast_radius={"globex": {"browse": {"errors": "<= 100%"}}},
    ),
    _row(
        "refusals after two seconds",
        "fail",
        hurt(12, 22, "globex", "browse", rate=6, status=429, latency_ms=2000, retry_after=True),
        checks=({"refusals": {"tenant": "globex", "share": ">= 30%"}},),
        faults=SLIGHT,
        blast_radius={"globex": {"browse": {"errors": "<= 100%"}}},
    ),
]
