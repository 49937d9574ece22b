"""The parts of which situations are put together; each returns an act that writes it into a recording."""

from typing import Any

from harness.model.run.events import Kind
from tests.checks.stories import (
    ACME_CHECKOUT,
    CLOSED_S,
    OPENED_S,
    REFUSED_CHAIN,
    SLIGHT,
    calm_load,
    hang_contained,
    hang_uncontained,
)
from tests.honesty.rows import Act
from tests.recordings import FAULT_S, LATENCY_MS, LINK, RECOVERY_S, Stretch, Written, at

__all__ = ("LINK", "SLIGHT", "contained", "uncontained")

PAY = "orders -> payments"
BROWSE = {"objective": {"flow": "browse", "errors": "< 0.5%", "p95": "< 250ms"}}
BREAKER = {"breaker": {"link": LINK, "opens_within": "4s", "closes_within": "8s"}}
RETRIES = {"retries": {"link": PAY, "amplification": "<= 1.3"}}
LEDGER = {"integrity": {"ledger": "orders"}}
FIRST = {"fault": "fault-1"}
RATES = {"browse": 6, "checkout": 4, "login": 4}
REFUSED = {"status": 503, "latency_ms": 12, "chain": REFUSED_CHAIN, "retry_after": True}
TIMED_OUT = {"status": 504, "latency_ms": 1500}

contained: Act = hang_contained
uncontained: Act = hang_uncontained


def calm(*but: Stretch, **how: Any) -> Act:
    """The load of the plan, healthy but for the slight fault, without these stretches."""
    return lambda written: calm_load(written, but=but, **how)


def fault(begin_s: float = FAULT_S, end_s: float = RECOVERY_S, *, number: int = 1, **how: Any) -> Act:
    """Events of a fault that was asked for at the start of its phase, and was there from then to then."""

    def write(written: Written) -> None:
        about, by = {"fault": f"fault-{number}"}, how.pop("by", "harness")
        written.event(FAULT_S, Kind.FAULT_ASKED, **about, kind="x", place="y")
        written.event(begin_s, Kind.FAULT_APPLIED, **about, kind="x", place="y")
        counted = {"connections": 6, "bytes": 4_000, **how}
        written.event(end_s, Kind.FAULT_OBSERVED, **about, **counted)
        written.event(end_s, Kind.FAULT_UNDONE, **about, by=by)

    return write


def planned(**how: Any) -> Act:
    """Events of every fault of the plan, as planned."""
    return lambda written: written.fault_of_the_plan(**how)


def read_back(at_s: float, *, last_s: float = 0, **how: Any) -> Act:
    """The fault was read back, and last found intact at *last_s*."""
    last = {"last_intact_ns": at(last_s)} if last_s else {}
    return event(at_s, Kind.FAULT_READ_BACK, **FIRST, **last, **how)


def hurt(begin_s: float, end_s: float, tenant: str, flow: str, *, rate: float = 0, **each: Any) -> Act:
    """All is well, but for these seconds of one flow."""
    return several((Stretch(begin_s, end_s, tenant, flow), {"rate": rate or RATES[flow], **each}))


def several(*hurts: tuple[Stretch, dict[str, Any]]) -> Act:
    """All is well, but for these stretches."""

    def write(written: Written) -> None:
        calm_load(written, but=[stretch for stretch, _ in hurts])
        written.fault_of_the_plan()
        for stretch, each in hurts:
            about = {"rate": RATES[stretch.flow or "browse"], **each}
            written.requests(str(stretch.tenant), str(stretch.flow), stretch.begin_s, stretch.end_s, **about)

    return write


def well(*but: Stretch) -> Act:
    """All is well, without these stretches."""

    def write(written: Written) -> None:
        calm_load(written, but=but)
        written.fault_of_the_plan()

    return write


def checkouts(begin_s: float = FAULT_S, end_s: float = RECOVERY_S, **each: Any) -> Act:
    """The load, in which acme's checkouts are so for some seconds; no word of the fault."""

    def write(written: Written) -> None:
        written.load_as_planned(but=[Stretch(begin_s, end_s, "acme", "checkout")])
        written.requests("acme", "checkout", begin_s, end_s, rate=4, **each)

    return write


def hang(opened_s: float = OPENED_S, **refused: Any) -> Act:
    """The load of a hang that something contains, and no word of it."""

    def write(written: Written) -> None:
        written.load_as_planned(but=[ACME_CHECKOUT])
        written.requests("acme", "checkout", FAULT_S, opened_s, rate=4, **TIMED_OUT)
        written.requests("acme", "checkout", opened_s, RECOVERY_S, rate=4, **{**REFUSED, **refused})

    return write


def changes(*steps: tuple[float, str], link: str = LINK) -> Act:
    """Changes of a breaker."""
    return lambda written: written.breaker(*steps, link=link)


OPENS = changes((OPENED_S, "open"), (22.5, "half_open"), (CLOSED_S, "closed"))


def event(at_s: float, what: Kind, /, **fields: Any) -> Act:
    """One event."""
    return lambda written: written.event(at_s, what, **fields)


def lost(what: str, count: int) -> Act:
    """The recorder says that it lost so many."""
    return event(33, Kind.TELEMETRY_LOST, what=what, count=count)


def sent(count: int, **more: Any) -> Act:
    """The generator says how many requests it sent."""
    return event(34, Kind.LOAD_ENDED, **{"arrivals": count, "sent": count, "late": 0, "dropped": 0, "code": 0, **more})


def samples(
    service: str, metric: str, values: Any, /, *, begin_s: float = 2.5, until_s: float = 31.5, **labels: str
) -> Act:
    """One sample a second; *values* is a function of the second, or None where there is no sample."""

    def write(written: Written) -> None:
        for number in range(round(until_s - begin_s)):
            if (value := values(begin_s + number)) is not None:
                written.metric(begin_s + number, service, metric, value, **labels)

    return write


def calls(tries: int, *, begin_s: float = 12, length_s: float = 10, rate: float = 5, **about: Any) -> Act:
    """Calls over orders -> payments of which each fails until its last try."""

    def write(written: Written) -> None:
        for number in range(round(length_s * rate)):
            trace, parent, start_s = written.new_id(16), written.new_id(8), begin_s + number / rate
            for attempt in range(tries):
                each = {"parent": parent, "link": PAY, "attempt": attempt, "failed": attempt + 1 < tries, **about}
                written.span(trace, "orders", "client", start_s + attempt / 20, 40, **each)

    return write


WRITES = 128
"""How many checkouts of each tenant the plan's load has; all are acknowledged."""


def ledger(*, writes: int = WRITES, complete: bool = True) -> Act:
    """All is well; so many of the acknowledged checkouts are in the ledger, and were read back."""

    def write(written: Written) -> None:
        well()(written)
        for tenant in ("acme", "globex"):
            for number in range(writes):
                for kind in ("invoke", "ok", "read"):
                    written.ledger(kind, tenant, f"{tenant}-{number}")
            written.ledger_read(tenant, complete=complete)

    return write


def entering(written: Written) -> None:
    """All is well, but under the fault no checkout shows its way between gateway and payments: a row adds it."""
    well(Stretch(FAULT_S, RECOVERY_S, None, "checkout"))(written)
    for tenant, link in (("acme", LINK), ("globex", "payments -> provider-b")):
        for number in range(40):
            at_s = FAULT_S + (number + 0.5) / 4
            trace = written.request(tenant, "checkout", at_s, latency_ms=130, chain=("gateway",))
            pays = written.span(trace, "payments", "server", at_s, 128, tenant=tenant)
            call = written.span(trace, "payments", "client", at_s, 127, parent=pays, link=link, tenant=tenant)
            written.span(trace, link.rpartition(" ")[2], "server", at_s, 126, parent=call, tenant=tenant)


def rows_of_ledger(tenant: str, key: str, *kinds: str, name: str = "orders", value: str | None = None) -> Act:
    """Rows of one key in a ledger."""

    def write(written: Written) -> None:
        for kind in kinds:
            written.ledger(kind, tenant, key, name=name, value=value if kind == "read" else None)

    return write


def usual_ms(flow: str, times: float) -> float:
    """Return so many times the usual latency of a flow."""
    return times * LATENCY_MS[flow]
