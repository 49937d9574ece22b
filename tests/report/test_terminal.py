"""The lines that end a run."""

import re

from harness.model.result.finding import Cause, Finding, How, Status, Verdict
from harness.report.terminal import summary
from tests.report import verdicts
from tests.report.demo import Demo, demo_plan

BROKEN = """\
✕ BROKEN  payment-provider-hang (seed 7, 56 s, without payments-breaker)
  When the payment provider of one tenant hangs, that tenant's checkout soon answers quickly with a
  clear error, browsing keeps its objective, and tenants on the other provider notice nothing.
  The breaker of payments -> provider-a never opened, and globex was hurt with acme.
hurt       globex checkout, initech checkout (NOT declared), beside acme checkout (declared)
           acme checkout: 100% not served, p95 1.51 s (before: 0%, 125 ms)
           globex checkout: 19.7% not served, p95 1.19 s (before: 0%, 134 ms)
           initech checkout: 21.5% not served, p95 1.14 s (before: 0%, 129 ms)
contained  no protection was seen to act
recovered  at most 2.0 s after the fault ended
checks     0 of 1 held, 1 failed; built in: 8 of 9 held, 1 failed
  ✕ breaker: payments -> provider-a: never opened; 74 calls reached the link (bound opens <= 4s,
    closes <= 12s, n 74)
    Calls kept reaching the hanging provider for the whole fault.
  ✕ blast_radius: globex checkout p95: 1.12 s (bound < 600 ms, n 81)
    A tenant that was not to be hurt lost its objective.
  ? blast_radius: initech checkout p99: 1.19 s (bound < 1200 ms, n 81)
    81 requests cannot decide a p99; about 400 would.
trust      fault applied · fault observed · load delivered · steady before · rollback · steady after
           · isolation · generator lag p99 1.49 ms · machine busy 40% · telemetry"""

HELD = """\
✓ HELD  payment-provider-hang (seed 7, 56 s)
  When the payment provider of one tenant hangs, that tenant's checkout soon answers quickly with a
  clear error, browsing keeps its objective, and tenants on the other provider notice nothing.
  All requested checks were decided and passed.
hurt       acme checkout (declared); nobody else
           acme checkout: 100% not served, p95 712 ms (before: 0%, 125 ms)
contained  after 1.3 s: breaker payments -> provider-a opened
recovered  at most 2.0 s after the fault ended
checks     1 of 1 held; built in: 9 of 9 held; 1 warning
  ! blast_radius: initech browse p95: 14 ms, 1.6 times its baseline (bound < 1.5 times, n 240)
    Within its objective, but clearly slower than before the fault.
trust      fault applied · fault observed · load delivered · steady before · rollback · steady after
           · isolation · generator lag p99 1.49 ms · machine busy 39% · telemetry"""

KILLED = """\
? UNKNOWN: interrupted  payment-provider-hang (seed 7, 56 s, interrupted)
  When the payment provider of one tenant hangs, that tenant's checkout soon
  answers quickly with a clear error, browsing keeps its objective, and tenants
  on the other provider notice nothing.
! ROLLBACK NOT CONFIRMED: run `harness recover`
hurt       not seen: no requests under the fault
contained  no protection was seen to act
recovered  not seen: nothing was recorded after the fault
checks     none was decided
trust      – fault applied: not judged · – fault observed: not judged · – load
           delivered: not judged · – steady before: not judged · – rollback: not
           judged · – steady after: not judged · – isolation: not judged · –
           generator lag: no requests · – machine busy: not recorded · !
           telemetry: 0 spans"""


def test_a_broken_claim_names_who_was_hurt_and_what_failed(broken):
    assert summary(broken, verdicts.broken(), width=100, colour=False) == BROKEN


def test_a_claim_that_held_takes_few_lines(held):
    assert summary(held, verdicts.held(), width=100, colour=False) == HELD


def test_a_killed_run_claims_nothing(tmp_path):
    recording = Demo(tmp_path / "killed", until_s=0.0).write(how=None)
    verdict = Verdict(Status.UNKNOWN, Cause.INTERRUPTED, "", (), rollback_confirmed=False, how=How.INTERRUPTED)
    assert summary(recording, verdict, width=80, colour=False) == KILLED


def test_colour_changes_no_word(broken):
    painted = summary(broken, verdicts.broken(), width=100, colour=True)
    assert painted.startswith("\x1b[1;31m✕ BROKEN\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == BROKEN


def test_no_line_is_wider_than_asked(broken):
    lines = summary(broken, verdicts.broken(), width=60, colour=False).splitlines()
    assert max(map(len, lines)) <= 60


def test_names_cannot_steer_the_terminal(tmp_path):
    recording = Demo(tmp_path / "hostile", plan=demo_plan(("\x1b[2Jacme\r", "globex"))).write()
    finding = Finding("x", "\x1b]0;title\x07", Status.FAIL, "\n\n", "", 1, None, reason="\x1b[31m")
    text = summary(recording, Verdict(Status.FAIL, None, "\x1b[2J", (finding,)), width=100, colour=False)
    assert not [c for c in text if not c.isprintable() and c != "\n"]
