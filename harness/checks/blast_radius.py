"""Who was hurt, and how: every loaded tenant's flow under the fault and after it, by what it was promised."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.checks.bounds import objectives_of, worst_of
from harness.checks.slowdown import judge_slowdown
from harness.checks.under_fault import Judging, judge_under_fault, judge_window
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair
from harness.model.files.scenario import ObjectiveCheck, Phase, RecoveryCheck
from harness.model.result.finding import Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.promises import promised, promised_slowdown, usual_slowdown


def blast_radius(facts: Facts) -> Iterator[Finding]:
    """Judge victims by what the scenario allows them, all others by the target's objectives and their own baseline."""
    for pair in (*facts.victims, *facts.bystanders):
        yield from _under_the_fault(facts, pair)
        yield from _after_it(facts, pair)


def _under_the_fault(facts: Facts, pair: Pair) -> Iterator[Finding]:
    stated = _stated(facts, pair)
    for name, bound in promised(facts.plan, *pair).items():
        yield judge_under_fault(Judging(facts, pair, name, bound, own=name in stated))
    if slowdown := promised_slowdown(facts.plan, *pair):
        yield judge_slowdown(facts, pair, slowdown, facts.phase(Phase.FAULT))


def _stated(facts: Facts, pair: Pair) -> frozenset[str]:
    allowed = facts.plan.scenario.blast_radius.get(pair.tenant, {}).get(pair.flow)
    return frozenset(allowed.measures() if allowed else ())


def _after_it(facts: Facts, pair: Pair) -> Iterator[Finding]:
    """Judge a bystander from the first second of the recovery phase, a victim once its time to recover is over."""
    window = facts.phase(Phase.RECOVERY)
    if pair in facts.victims:
        window = Window(window.name, window.start_ns + _time_to_recover_ns(facts, window), window.end_ns)
    if window.start_ns >= window.end_ns:
        return
    found = [judge_window(Judging(facts, pair, n, b), window) for n, b in objectives_of(facts)(pair).items()]
    if pair in facts.bystanders:
        slower = judge_slowdown(facts, pair, usual_slowdown(facts.plan, pair.flow), window)
        found += [slower] if slower.status is Status.FAIL else []
    gravest = worst_of(found)
    if gravest.status is Status.PASS or gravest.samples:
        yield replace(gravest, subject=f"{gravest.subject}, afterwards", measure="afterwards")


def _time_to_recover_ns(facts: Facts, recovery: Window) -> int:
    """Return how far into the recovery phase victims may still be hurt: as a check says, else the target's default."""
    asked = [spec.within for entry in facts.plan.scenario.checks if isinstance(spec := entry.spec, RecoveryCheck)]
    allowed_s = max(asked, default=facts.plan.target.defaults.recovery)
    return max(0, facts.faults_end_ns + round(allowed_s * NS_PER_S) - recovery.start_ns)


def objective(facts: Facts, spec: ObjectiveCheck) -> Iterable[Finding]:
    """Judge one flow, tenant by tenant, by the bounds of the check."""
    for pair in facts.loaded:
        if pair.flow == spec.flow and pair.tenant in (spec.tenants or (pair.tenant,)):
            yield from _objective(facts, spec, pair)


def _objective(facts: Facts, spec: ObjectiveCheck, pair: Pair) -> Iterator[Finding]:
    window = facts.phase(spec.phase)
    for name, bound in spec.measures().items():
        judging = Judging(facts, pair, name, bound, own=pair in facts.victims)
        yield judge_under_fault(judging) if spec.phase is Phase.FAULT else judge_window(judging, window)
    if spec.slowdown:
        yield judge_slowdown(facts, pair, spec.slowdown, window)
