"""A.3: what has no bound of its own is not unharmed, and what cannot fail does not pass."""

from tests.honesty.acts import BROWSE, LINK, SLIGHT, contained, hurt, several, uncontained, usual_ms, well
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import Stretch

EVERYBODY = {t: {f: {"errors": "<= 100%"} for f in ("browse", "checkout")} for t in ("acme", "globex")}
LOGIN = {"load": {t: {"browse": 6, "checkout": 4, "login": 4} for t in ("acme", "globex")}}
FAST = {"objectives": {"browse": {"p95": "< 250ms"}}}
OF_CHECKOUT = {"status": 503, "latency_ms": 140}
HANG = [{"link": LINK, "latency": "10s"}]
B, C, GLOBEX = "browse", "checkout", (12, 22, "globex")


def _victim(**bounds):
    return {"acme": {"checkout": bounds}}


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.3", name, expected, *acts, **{"checks": (BROWSE,), "faults": SLIGHT, **how})


def _half_login(written) -> None:
    """The second step of each log-in fails."""
    well(Stretch(12, 22, "globex", "login"))(written)
    for step, status in (("token", 200), ("home", 500)):
        written.requests("globex", "login", 12, 22, rate=4, step=step, status=status)


ROWS = [
    _row("a bystander's flow without an objective fails", "fail", hurt(*GLOBEX, "login", status=500), **LOGIN),
    _row("… half of it fails", "fail", _half_login, **LOGIN),
    _row("… it is five times slower", "fail", hurt(*GLOBEX, "login", latency_ms=usual_ms("login", 5)), **LOGIN),
    _row("… its answers are refused at once", "fail", hurt(*GLOBEX, "login", status=503, latency_ms=3), **LOGIN),
    _row(
        "an objective of p95 only, every answer a fast 503",
        "fail",
        hurt(*GLOBEX, B, status=503, latency_ms=3),
        target=FAST,
        checks=(),
    ),
    _row(
        "an objective of p95 only, every answer a fast 429",
        "fail",
        hurt(*GLOBEX, B, status=429, latency_ms=3),
        target=FAST,
        checks=(),
    ),
    _row(
        "no objectives at all, a bystander fails",
        "fail",
        hurt(*GLOBEX, B, status=500),
        target={"objectives": {}},
        checks=(),
    ),
    _row("a victim with {} fails", "fail", hurt(12, 22, "acme", C, **OF_CHECKOUT), blast_radius=_victim()),
    _row(
        "a victim that may be slow fails",
        "fail",
        hurt(12, 22, "acme", C, **OF_CHECKOUT),
        blast_radius=_victim(p95="<= 5s"),
    ),
    _row(
        "a victim that may fail a little fails wholly",
        "fail",
        hurt(12, 22, "acme", C, **OF_CHECKOUT),
        blast_radius=_victim(errors="<= 10%"),
    ),
    _row(
        "a victim that may fail a little becomes ten times slower",
        "fail",
        hurt(12, 22, "acme", C, latency_ms=1000),
        blast_radius=_victim(errors="<= 2%"),
    ),
    _row("a victim of checkout cannot browse", "fail", hurt(12, 22, "acme", B, status=500)),
    _row(
        "a victim does not come back",
        "fail",
        hurt(12, 32, "acme", C, **OF_CHECKOUT),
        checks=({"recovery": {"within": "5s"}},),
    ),
    _row("a victim does not come back, nobody asks", "not pass", hurt(12, 32, "acme", C, **OF_CHECKOUT)),
    _row("everybody may fail, and no check", "unknown nothing judged", well(), checks=(), blast_radius=EVERYBODY),
    _row(
        "everybody may fail, and does",
        NOT_PASS,
        several(*((Stretch(12, 22, t, f), {"status": 500}) for t in ("acme", "globex") for f in (B, C))),
        checks=(),
        blast_radius=EVERYBODY,
    ),
    _row(
        "everybody may fail, and a check that always holds",
        NOT_PASS,
        well(),
        checks=({"objective": {"flow": B, "errors": "<= 100%"}},),
        blast_radius=EVERYBODY,
    ),
    _row(
        "a deadline that no request needs to keep",
        NOT_PASS,
        well(),
        checks=({"deadline": {"flow": B, "within": "1s", "share": "0%"}},),
    ),
    _row(
        "a metric that cannot be below nothing",
        NOT_PASS,
        well(),
        checks=({"metric": {"name": "up_total", "bound": ">= 0"}},),
    ),
    _row("a tenant of the claim without load", NOT_PASS, well(), blast_radius={"initech": {B: {"errors": "<= 50%"}}}),
    _row(
        "a tenant whose load is empty",
        NOT_PASS,
        well(),
        load={"acme": {B: 6, C: 4}, "globex": {B: 6, C: 4}, "initech": {}},
    ),
    _row(
        "a check on a tenant without load",
        NOT_PASS,
        well(),
        checks=({"objective": {"flow": B, "errors": "< 1%", "tenants": ["initech"]}},),
    ),
    _row("only warnings", "unknown nothing judged", well(), checks=({**BROWSE, "severity": "warning"},)),
    _row(
        "only warnings, and one of them fails",
        NOT_PASS,
        hurt(*GLOBEX, B, status=500),
        checks=({**BROWSE, "severity": "warning"},),
    ),
    _row("--without, and the claim holds", "unknown unproven", well(), without=("breaker",)),
    _row(
        "--without two, and the claim holds",
        "unknown unproven",
        contained,
        without=("breaker", "bulkhead"),
        faults=HANG,
    ),
    _row("a bystander five times slower within its objective", "fail", hurt(*GLOBEX, B, latency_ms=100)),
    _row("a bystander ten times slower within its objective", "fail", hurt(*GLOBEX, B, latency_ms=200)),
    _row("a bystander's checkout five times slower within its objective", "fail", hurt(*GLOBEX, C, latency_ms=500)),
    _row("a bystander twice as slow", "fail", hurt(*GLOBEX, C, latency_ms=200)),
    _row("the victim's browse five times slower", "fail", hurt(12, 22, "acme", B, latency_ms=100)),
    _row(
        "both tenants' browse five times slower",
        "fail",
        several(*((Stretch(12, 22, t, B), {"latency_ms": 100}) for t in ("acme", "globex"))),
    ),
    _row("a bystander slow in the recovery", "fail", hurt(22, 32, "globex", B, latency_ms=200)),
    _row(
        "a third tenant fails",
        "fail",
        hurt(12, 22, "initech", B, status=500),
        load={t: {B: 6, C: 4} for t in ("acme", "globex", "initech")},
    ),
    _row(
        "a hang that nothing contains, within a victim's bound",
        "fail",
        uncontained,
        faults=HANG,
        blast_radius=_victim(errors="<= 100%", p95="<= 2s"),
    ),
]
