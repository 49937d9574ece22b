import pytest

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Status
from harness.model.run.events import Kind
from harness.recording.columns import Table
from tests.checks.stories import all_is_well, found
from tests.recordings import Stretch, at

AFTER_TEN = Stretch(2.5, 32, None, "checkout")
"""Without this stretch each tenant's load has ten checkouts."""

CHECK = {"integrity": {"ledger": "orders"}}


@pytest.fixture
def written(new_run):
    """Ten acknowledged orders of each tenant, all there, read back to the end."""
    run = all_is_well(new_run(CHECK), but=[AFTER_TEN])
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
    acme, globex = judged(written)
    assert (acme[1], globex) == (Status.PASS, GOOD_GLOBEX)
    assert acme[3].endswith(", 1 without an answer but there") is there


def broken(written, tenant="acme"):
    (finding,) = (f for f in found(written.read(), "integrity") if f.tenant == tenant and f.status is Status.FAIL)
    return finding.severity, finding.value.rpartition(", ")[2], finding.evidence[0].text


def test_a_refused_write_that_is_there_fails(written):
    for kind in ("invoke", "fail", "read"):
        written.ledger(kind, "acme", "refused-one")
    assert broken(written) == (Severity.CRITICAL, "1 refused but there", "refused but there: refused-one")


def test_a_refusal_after_an_answer_that_was_lost_says_nothing(written):
    for kind in ("invoke", "unknown", "fail", "read"):
        written.ledger(kind, "acme", "sent-twice")
    assert [status for _, status, _, _ in judged(written)] == [Status.PASS, Status.PASS]


def test_a_key_that_nobody_wrote_fails(written):
    written.ledger("read", "globex", "from-nowhere")
    assert broken(written, "globex") == (Severity.CRITICAL, "1 never asked for", "never asked for: from-nowhere")


def test_a_key_that_was_there_before_the_run_does_not_count(written):
    for kind in ("before", "read"):
        written.ledger(kind, "globex", "from-yesterday")
    assert judged(written) == [GOOD_ACME, GOOD_GLOBEX]


def test_a_key_that_only_another_tenant_wrote_fails(written):
    written.ledger("read", "globex", "acme-3")
    assert broken(written, "globex")[1] == "1 never asked for"


def test_a_key_acknowledged_to_two_requests_fails(written):
    for trace in (b"a" * 16, b"b" * 16):
        written.row(Table.LEDGER, at(15), "ok", "orders", "acme", "acme-3", None, trace)
    assert broken(written) == (Severity.CRITICAL, "1 acknowledged twice", "acknowledged twice: acme-3")


def test_the_same_acknowledgement_written_twice_counts_once(new_run):
    written = all_is_well(new_run(CHECK), but=[Stretch(0.25, 32, None, "checkout")])
    for tenant in ("acme", "globex"):
        for kind in ("invoke", "ok", "ok"):
            written.row(Table.LEDGER, at(15), kind, "orders", tenant, "one", None, b"a" * 16)
        written.ledger("read", tenant, "one")
        written.ledger_read(tenant)
    assert [status for _, status, _, _ in judged(written)] == [Status.PASS, Status.PASS]


def test_keys_that_were_read_and_are_not_in_the_recording_leave_it_undecided(new_run):
    written = all_is_well(new_run(CHECK), but=[AFTER_TEN])
    for number in range(4):
        for kind in ("invoke", "ok"):
            written.ledger(kind, "acme", f"acme-{number}")
    written.ledger("read", "acme", "acme-0")
    written.event(40, Kind.LEDGER_READ, ledger="orders", tenant="acme", keys=4, complete=True, cause=None)
    finding = found(written.read(), "integrity")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TELEMETRY_LOST)
    assert finding.reason == "4 keys were read back and 1 are in the recording."


def read_at(written, at_s, *keys, tenant="acme"):
    for key in keys:
        written.ledger("read", tenant, key, at_s=at_s)
    about = {"ledger": "orders", "tenant": tenant, "keys": len(keys), "complete": True, "cause": None}
    written.event(at_s, Kind.LEDGER_READ, **about)


@pytest.fixture
def two_writes(new_run):
    run = all_is_well(new_run(CHECK), but=[Stretch(0.5, 32, None, "checkout")])
    for key in ("one", "two"):
        for kind in ("invoke", "ok"):
            run.ledger(kind, "acme", key)
    return run


def test_a_key_that_was_read_once_and_is_gone_later_fails(two_writes):
    read_at(two_writes, 20, "one", "two")
    read_at(two_writes, 30, "one")
    finding = found(two_writes.read(), "integrity")[0]
    assert (finding.status, finding.value.rpartition(", ")[2]) == (Status.FAIL, "1 vanished")


def test_a_key_that_shows_late_is_a_warning_with_its_latency(two_writes):
    read_at(two_writes, 20, "one")
    read_at(two_writes, 31, "one", "two")
    promise, stale, _ = found(two_writes.read(), "integrity")
    assert promise.status is Status.PASS
    assert (stale.severity, stale.value) == (
        Severity.WARNING,
        "1 acknowledged writes were missing for up to 16.0 s",
    )


def test_a_ledger_that_was_not_read_to_its_end_decides_nothing(new_run):
    written = all_is_well(new_run(CHECK), but=[AFTER_TEN])
    for kind in ("invoke", "ok"):
        written.ledger(kind, "acme", "perhaps-lost")
    written.ledger_read("acme", complete=False)
    assert [(f.status, f.cause) for f in found(written.read(), "integrity")] == [
        (Status.UNKNOWN, Cause.TELEMETRY_LOST),
        (Status.UNKNOWN, Cause.TELEMETRY_LOST),
    ]


def test_no_acknowledged_write_is_no_pass(new_run):
    written = all_is_well(new_run(CHECK), but=[AFTER_TEN])
    written.ledger_read("acme")
    finding = found(written.read(), "integrity")[0]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


DERIVED = {"orders": {"path": "/orders", "keys": "[]"}, "effects": {"of": "orders", "path": "/sent", "keys": "[]"}}


@pytest.fixture
def with_effects(new_run):
    """Ten acknowledged orders of acme; the first nine had their effect."""
    run = all_is_well(new_run({"integrity": {"ledger": "effects"}}, target={"ledgers": DERIVED}), but=[AFTER_TEN])
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
