import pytest

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found

CHECK = {"integrity": {"ledger": "orders"}}


@pytest.fixture
def written(new_run):
    """Ten acknowledged orders of each tenant, all there, read back to the end."""
    run = all_is_well(new_run(CHECK))
    for tenant in ("acme", "globex"):
        for number in range(10):
            for kind in ("invoke", "ok", "read"):
                run.ledger(kind, tenant, f"{tenant}-{number}")
        run.ledger_read(tenant)
    return run


def judged(written):
    return [(f.subject, f.status, f.severity, f.value) for f in found(written.read(), "integrity")]


GOOD_ACME = ("orders acme", Status.PASS, Severity.CRITICAL, "10 of 10 acknowledged are there, 0 lost, 0 doubled")
GOOD_GLOBEX = ("orders globex", Status.PASS, Severity.CRITICAL, "10 of 10 acknowledged are there, 0 lost, 0 doubled")


def test_every_acknowledged_write_there_once_passes(written):
    assert judged(written) == [GOOD_ACME, GOOD_GLOBEX]


def test_a_lost_acknowledged_write_fails(written):
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "lost-one")
    finding = found(written.read(), "integrity")[0]
    assert (finding.status, finding.value) == (Status.FAIL, "10 of 11 acknowledged are there, 1 lost, 0 doubled")
    assert [line.text for line in finding.evidence] == ["lost: lost-one"]


def test_a_write_that_only_another_tenant_holds_is_lost(written):
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "globex-3")
    assert judged(written)[0][1] is Status.FAIL


def test_a_write_done_twice_fails(written):
    written.ledger("read", "globex", "globex-3")
    finding = found(written.read(), "integrity")[1]
    assert (finding.status, finding.value) == (Status.FAIL, "10 of 10 acknowledged are there, 0 lost, 1 doubled")
    assert [line.text for line in finding.evidence] == ["doubled: globex-3"]


@pytest.mark.parametrize("there", [True, False])
def test_a_write_whose_end_is_unknown_may_be_there_or_not(written, there):
    for kind in ("invoke", "unknown", *(["read"] if there else [])):
        written.ledger(kind, "acme", "timed-out")
    assert judged(written) == [GOOD_ACME, GOOD_GLOBEX]


def test_a_refused_write_that_is_there_is_a_warning(written):
    for kind in ("invoke", "fail", "read"):
        written.ledger(kind, "acme", "refused-one")
    assert judged(written)[:2] == [
        GOOD_ACME,
        ("orders acme refused but there", Status.FAIL, Severity.WARNING, "1"),
    ]


def test_a_key_that_nobody_wrote_is_a_warning(written):
    written.ledger("read", "globex", "from-yesterday")
    assert judged(written)[1:] == [
        GOOD_GLOBEX,
        ("orders globex never asked for", Status.FAIL, Severity.WARNING, "1"),
    ]


def test_a_ledger_that_was_not_read_to_its_end_decides_nothing(new_run):
    written = all_is_well(new_run(CHECK))
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "perhaps-lost")
    written.ledger_read("acme", complete=False)
    assert [(f.status, f.cause) for f in found(written.read(), "integrity")] == [
        (Status.UNKNOWN, Cause.TELEMETRY_LOST),
        (Status.UNKNOWN, Cause.TELEMETRY_LOST),
    ]


def test_no_acknowledged_write_is_no_pass(new_run):
    written = all_is_well(new_run(CHECK))
    written.ledger_read("acme")
    finding = found(written.read(), "integrity")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


DERIVED = {"orders": {"path": "/orders", "keys": "[]"}, "effects": {"of": "orders", "path": "/sent", "keys": "[]"}}


@pytest.fixture
def with_effects(new_run):
    """Ten acknowledged orders of acme; the first nine had their effect."""
    run = all_is_well(new_run({"integrity": {"ledger": "effects"}}, target={"ledgers": DERIVED}))
    for tenant in ("acme", "globex"):
        for number in range(10):
            for kind in ("invoke", "ok", "read"):
                run.ledger(kind, tenant, f"{tenant}-{number}")
            if number < 9 or tenant == "globex":
                run.ledger("read", tenant, f"{tenant}-{number}", name="effects")
        run.ledger_read(tenant, name="effects")
    return run


def test_an_acknowledged_write_without_its_effect_is_lost(with_effects):
    assert [(f.subject, f.status, f.value) for f in found(with_effects.read(), "integrity")] == [
        ("effects acme", Status.FAIL, "9 of 10 acknowledged are there, 1 lost, 0 doubled"),
        ("effects globex", Status.PASS, "10 of 10 acknowledged are there, 0 lost, 0 doubled"),
    ]


def test_an_effect_that_came_twice_is_doubled(with_effects):
    with_effects.ledger("read", "acme", "acme-9", name="effects")
    with_effects.ledger("read", "globex", "globex-9", name="effects")
    assert [f.status for f in found(with_effects.read(), "integrity")] == [Status.PASS, Status.FAIL]
