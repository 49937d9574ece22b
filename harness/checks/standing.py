"""What findings stand on: a finding is worth what its signals, and the time it looks at, are worth.

Each kind of check says on which signals it stands. Where less of one is there than the check needs, in the finding's
own window and for its own tenant:

    a pass, or "not exercised"        becomes unknown: what is missing may be what was looked for
    a failure by absence              becomes unknown too: a breaker's change may be among the lost events, a write
                                      among the rows that were read back
    a failure by what is there        stays: lost spans add no attempts, lost rows add no errors; unless so much is
                                      missing that it may outweigh what is there

Where the time was void (see `evidence/health.py`), requests under way in it are left out. A finding on requests alone
is decided by the rest, if four fifths of its window are left; every other finding that void time touches decides
nothing. Time in which other programs took the machine's cores takes only failures with it.
What is final at one sight is not touched by void time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.checks.precedence import Judged
from harness.evidence.account.account import NEED
from harness.evidence.account.loss import Scope, Signal, Wholeness
from harness.evidence.facts import Facts
from harness.evidence.health import VoidTime, spoiled_share
from harness.model.files.scenario import Phase
from harness.model.result.finding import Cause, Finding, Status, Window

MOST_VOID = 0.2
MOST_EMPTY = 1 - NEED
_OUTWEIGHS = 0.5

Signals = frozenset[Signal]


@dataclass(frozen=True, slots=True)
class Standing:
    """On what one check's findings stand."""

    signals: Signals
    by_absence: Callable[[Finding, Wholeness], bool]  # the failure may come from what is missing
    about: frozenset[str] = frozenset()  # the services or ledgers that it looks at; empty: all


def settled(facts: Facts, judged: Judged, standing: Standing) -> Judged:
    """Return the finding as what it stands on allows it."""
    if not standing.signals:
        return judged
    if judged.finding.status is Status.UNKNOWN:
        return judged if judged.final else judged.with_finding(_by_its_cause(facts, judged.finding))
    lost = _unless_lost(facts, judged.finding, standing)
    if lost.status is Status.UNKNOWN or judged.final:
        return judged.with_finding(lost)
    return judged.with_finding(_unless_void(facts, lost, standing))


def _unless_lost(facts: Facts, finding: Finding, standing: Standing) -> Finding:
    scope = Scope(finding.window, finding.tenant, finding.flow, standing.about)
    for signal in sorted(standing.signals, key=lambda signal: signal.value):
        whole = facts.books.whole(signal, scope)
        if whole.share >= NEED:
            continue
        if finding.status is not Status.FAIL or standing.by_absence(finding, whole):
            return finding.undecided(Cause.TELEMETRY_LOST, f"{whole}; {NEED:.0%} are needed to decide it.")
    return finding


def _by_its_cause(facts: Facts, finding: Finding) -> Finding:
    """Few samples are no riddle where void time took them."""
    window = _window(facts, finding)
    touching = [v for v in facts.void if v.overlap_ns(window) and not v.only_excuses]
    if finding.cause is not Cause.TOO_FEW_SAMPLES or spoiled_share(touching, window) <= MOST_VOID:
        return finding
    return finding.undecided(Cause.LOAD_NOT_DELIVERED, _void(facts, touching, window))


def _window(facts: Facts, finding: Finding) -> Window:
    begin_ns, end_ns = facts.phase(Phase.WARMUP).start_ns, facts.phase(Phase.RECOVERY).end_ns
    return finding.window or Window("whole run", begin_ns, end_ns)


def _unless_void(facts: Facts, finding: Finding, standing: Standing) -> Finding:
    window = _window(facts, finding)
    failed = finding.status is Status.FAIL
    touching = [v for v in facts.void if v.overlap_ns(window) and (failed or not v.only_excuses)]
    if not touching:
        return finding
    if any(void.only_excuses for void in touching):
        return finding.undecided(Cause.LOAD_NOT_DELIVERED, _void(facts, touching, window))
    share = spoiled_share(touching, window)
    empty = spoiled_share([void for void in touching if void.is_empty], window)
    by_rest = standing.signals == {Signal.REQUESTS} or not failed
    if by_rest and share <= MOST_VOID and empty <= MOST_EMPTY:
        return finding
    return finding.undecided(Cause.LOAD_NOT_DELIVERED, _void(facts, touching, window))


def _void(facts: Facts, touching: Sequence[VoidTime], window: Window) -> str:
    named = "; ".join(told(facts, void) for void in touching[:3])
    return f"{spoiled_share(touching, window):.0%} of its window ({window.name}) is void: {named}."


def told(facts: Facts, void: VoidTime) -> str:
    """Name a stretch of void time."""
    begin_s, end_s = facts.offset_s(void.start_ns), facts.offset_s(void.end_ns)
    return f"{void.why} from {begin_s:.1f} to {end_s:.1f} s"


def never(_finding: Finding, _whole: Wholeness) -> bool:
    """Nothing that is missing adds to what failed."""
    return False


def outweighed(finding: Finding, whole: Wholeness) -> bool:
    """As much is missing as half of what is there: with it the answer may be another one."""
    return whole.missing > _OUTWEIGHS * max(1, finding.samples)


def any_loss(_finding: Finding, _whole: Wholeness) -> bool:
    """It fails because something was not seen."""
    return True


def any_told_loss(_finding: Finding, whole: Wholeness) -> bool:
    """It looks for missing records itself; only a loss that the recorder admits explains them."""
    return whole.is_told


def not_read_back(finding: Finding, whole: Wholeness) -> bool:
    """A write counts as lost because it was not read back; rows that were read and are gone explain that."""
    return whole.is_told and "doubled" not in finding.measure and "0 lost" not in finding.value
