"""A.6: writes that were lost, doubled or never asked for, and answers that lie or hold another's data."""

from harness.model.result.finding import How
from harness.model.run.events import Kind
from harness.recording.columns import Table
from tests.honesty.acts import BROWSE, LEDGER, SLIGHT, WRITES, event, hurt, ledger, rows_of_ledger, several, well
from tests.honesty.rows import NOT_PASS, Row, bad
from tests.recordings import Stretch, Written, at

DERIVED = {"orders": {"path": "/orders", "keys": "[]"}, "effects": {"of": "orders", "path": "/sent", "keys": "[]"}}
EFFECTS = {"integrity": {"ledger": "effects"}}
ANY = {"acme": {"checkout": {"errors": "<= 100%"}}}


def _row(name, expected, *acts, **how) -> Row:
    return bad("A.6", name, expected, *acts, **{"checks": (LEDGER,), "faults": SLIGHT, **how})


def _answers(name, expected, *acts, **how) -> Row:
    return _row(name, expected, *acts, **{"checks": (BROWSE,), **how})


def _acknowledged_twice(written: Written) -> None:
    for trace in (b"a" * 16, b"b" * 16):
        written.row(Table.LEDGER, at(15), "ok", "orders", "acme", "acme-3", None, trace)


def _vanished(written: Written) -> None:
    for moment, keys in ((20, range(WRITES)), (33.5, range(WRITES - 1))):
        for number in keys:
            written.ledger("read", "acme", f"acme-{number}", at_s=moment)
        written.event(
            moment, Kind.LEDGER_READ, ledger="orders", tenant="acme", keys=len(keys), complete=True, cause=None
        )


def _effects(*, missing: int = 0, twice: int = 0):
    def write(written: Written) -> None:
        for tenant in ("acme", "globex"):
            for number in range(missing, WRITES):
                written.ledger("read", tenant, f"{tenant}-{number}", name="effects")
            for number in range(missing, missing + twice):
                written.ledger("read", tenant, f"{tenant}-{number}", name="effects")
            written.ledger_read(tenant, name="effects")

    return write


def _empty(tenant: str, flow: str, begin_s: float, end_s: float, *, size: int = 2, status: int = 200):
    """Answers of this size instead of the usual 512 bytes."""

    def write(written: Written) -> None:
        well(Stretch(begin_s, end_s, tenant, flow))(written)
        for number in range(round((end_s - begin_s) * 6)):
            due, trace = at(begin_s + (number + 0.5) / 6), written.new_id(16)
            times = (due, due + 500_000, due + 20_000_000)
            outcome = "ok" if status == 200 else "failed"
            written.row(Table.REQUESTS, tenant, flow, "list", *times, status, outcome, None, trace, size, False, None)
            written.trace(trace, ("gateway", "catalog"), begin_s + (number + 0.5) / 6, 19, tenant=tenant, failed=False)

    return write


def _foreign(at_s: float, **how):
    return lambda written: written.request("acme", "browse", at_s, foreign="globex", **how)


ROWS = [
    _row("an acknowledged write is lost", "fail", ledger(), rows_of_ledger("acme", "gone", "invoke", "ok")),
    _row("a write is there twice", "fail", ledger(), rows_of_ledger("globex", "globex-3", "read")),
    _row("a refused write is there", "fail", ledger(), rows_of_ledger("acme", "refused", "invoke", "fail", "read")),
    _row("a key that nobody wrote", "fail", ledger(), rows_of_ledger("globex", "from-nowhere", "read")),
    _row("one key is acknowledged to two requests", "fail", ledger(), _acknowledged_twice),
    _row(
        "a write that only the other tenant holds", "fail", ledger(), rows_of_ledger("acme", "globex-4", "invoke", "ok")
    ),
    _row("another tenant's key is in the ledger", "fail", ledger(), rows_of_ledger("globex", "acme-3", "read")),
    _row(
        "a row of the ledger names another tenant",
        "fail",
        ledger(),
        rows_of_ledger("globex", "globex-3", "read", value="acme"),
    ),
    _row("a key that was read is gone later", "fail", ledger(), _vanished),
    _row("the ledger was not read to its end", "unknown telemetry lost", ledger(complete=False)),
    _row(
        "a lost write, and the ledger was not read to its end",
        NOT_PASS,
        ledger(complete=False),
        rows_of_ledger("acme", "gone", "invoke", "ok"),
    ),
    _row(
        "the ledger was never read",
        NOT_PASS,
        well(),
        *(rows_of_ledger(t, f"{t}-{n}", "invoke", "ok") for n in range(WRITES) for t in ("acme", "globex")),
    ),
    _row("no history at all", NOT_PASS, well()),
    _row(
        "no write was acknowledged", NOT_PASS, well(Stretch(2.5, 32, None, "checkout")), lambda w: w.ledger_read("acme")
    ),
    _row(
        "keys were read that are not recorded",
        NOT_PASS,
        ledger(writes=WRITES - 1),
        event(34, Kind.LEDGER_READ, ledger="orders", tenant="acme", keys=WRITES, complete=True, cause=None),
        rows_of_ledger("acme", "gone", "invoke", "ok"),
    ),
    _row("an effect is missing", "fail", ledger(), _effects(missing=1), checks=(EFFECTS,), target={"ledgers": DERIVED}),
    _row("an effect came twice", "fail", ledger(), _effects(twice=1), checks=(EFFECTS,), target={"ledgers": DERIVED}),
    _row(
        "no effect at all", "fail", ledger(), _effects(missing=WRITES), checks=(EFFECTS,), target={"ledgers": DERIVED}
    ),
    _row(
        "a lost write as a warning of another name stays a failure",
        NOT_PASS,
        ledger(),
        rows_of_ledger("acme", "gone", "invoke", "ok"),
        checks=(LEDGER, {**BROWSE, "name": "browsing"}),
    ),
    _answers("an answer holds another tenant's data", "fail", well(), _foreign(15)),
    _answers("… in the warmup", "fail", well(), _foreign(1)),
    _answers("… in the recovery", "fail", well(), _foreign(30)),
    _answers("… in a 500", "fail", well(), _foreign(15, status=500)),
    _answers("… in a refusal", "fail", well(), _foreign(15, status=503)),
    _answers("… in a 404", "fail", well(), _foreign(15, status=404)),
    _answers(
        "… of a tenant that nobody loads", "fail", well(), lambda w: w.request("acme", "browse", 15, foreign="initech")
    ),
    _answers("… in a run that was interrupted", "fail", well(), _foreign(15), read={"how": How.INTERRUPTED}),
    _answers(
        "404 under the fault, where a victim may fail",
        "fail",
        hurt(12, 22, "acme", "checkout", status=404, latency_ms=130),
        blast_radius=ANY,
    ),
    _answers(
        "some 404 under the fault, where a victim may fail",
        "fail",
        several((Stretch(12, 15, "acme", "checkout"), {"status": 404, "latency_ms": 130})),
        blast_radius=ANY,
    ),
    _answers(
        "403 under the fault, where a victim may fail",
        "fail",
        hurt(12, 22, "acme", "checkout", status=403, latency_ms=130),
        blast_radius=ANY,
    ),
    _answers("empty successes under the fault", "fail", _empty("globex", "browse", 12, 22)),
    _answers("empty successes in the recovery", "fail", _empty("globex", "browse", 22, 26)),
    _answers("empty successes of nothing at all", "fail", _empty("globex", "browse", 12, 22, size=0)),
    _answers("default content: 40 bytes where there were 512", NOT_PASS, _empty("globex", "browse", 12, 22, size=40)),
    _answers(
        "an HTML page of 9,000 bytes taken for a success", NOT_PASS, _empty("globex", "browse", 12, 22, size=9000)
    ),
]
