"""Back to normal: how soon after the fault every tenant's flow is within its objectives again, and stays there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.checks.bounds import Measured, evidence, measure, objectives_of
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import Phase, RecoveryCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.statistics.shares import FEWEST


@dataclass(frozen=True, slots=True)
class _Return:
    """One pair's way back: when all that still followed was within its objectives, and what failed at the limit."""

    after_s: int | None
    at_limit: tuple[tuple[str, Measured], ...]
    rows: Requests


def recovery(facts: Facts, spec: RecoveryCheck) -> Iterable[Finding]:
    """Judge each tenant's flow: from `within` after the fault's end to the run's last arrival its objectives hold."""
    bounds_of = objectives_of(facts)
    begin_ns, end_ns = facts.faults_end_ns, facts.phase(Phase.RECOVERY).end_ns
    window = Window("after the fault", min(begin_ns, end_ns - 1), end_ns)
    return [_judge(facts, pair, bounds_of(pair), window, spec) for pair in facts.loaded if bounds_of(pair)]


def _judge(facts: Facts, pair: Pair, bounds: Mapping[str, Bound], window: Window, spec: RecoveryCheck) -> Finding:
    back = _return(facts, pair, bounds, window, spec.within)
    status = _status(back, spec.within)
    failed = [name for name, measured in back.at_limit if measured.status is Status.FAIL]
    late = f"{', '.join(failed)} still out of bounds {spec.within:g} s after the fault." if failed else ""
    return Finding(
        check="",
        subject=f"{pair.tenant} {pair.flow}",
        status=status,
        value="not before the run ended" if back.after_s is None else f"{back.after_s} s after the fault",
        bound=f"<= {spec.within:g} s",
        samples=len(back.rows),
        window=window,
        cause=Cause.TOO_FEW_SAMPLES if status is Status.UNKNOWN else None,
        reason=_too_few(window, spec.within, len(back.rows)) if status is Status.UNKNOWN else late,
        evidence=next((evidence(facts, m.worst) for _, m in back.at_limit if m.bad), ()) if late else (),
        tenant=pair.tenant,
        flow=pair.flow,
    )


def _return(facts: Facts, pair: Pair, bounds: Mapping[str, Bound], window: Window, within_s: float) -> _Return:
    rows = _enough(facts, pair, bounds, window)
    seconds = (window.end_ns - window.start_ns) // NS_PER_S
    rests = (_rest(window, second) for second in range(seconds + 1))
    after_s = next((s for s, rest in enumerate(rests) if _holds(facts, rows, bounds, rest)), None)
    limit = _rest(window, within_s)
    measured = ((name, measure(rows.within(limit), name, b, limit, seed=facts.seed)) for name, b in bounds.items())
    return _Return(after_s, tuple(measured) if limit.start_ns < limit.end_ns else (), rows)


def _enough(facts: Facts, pair: Pair, bounds: Mapping[str, Bound], window: Window) -> Requests:
    """Return the pair's requests; if there are too few to decide anything, and all good, its whole flow's."""
    own = facts.requests.of(pair).within(window)
    if not 0 < len(own) < FEWEST or any(measure(own, n, b, window, seed=facts.seed).bad for n, b in bounds.items()):
        return own
    return facts.requests.of(*(other for other in facts.loaded if other.flow == pair.flow)).within(window)


def _rest(window: Window, after_s: float) -> Window:
    return Window("rest", min(window.start_ns + round(after_s * NS_PER_S), window.end_ns), window.end_ns)


def _holds(facts: Facts, rows: Requests, bounds: Mapping[str, Bound], rest: Window) -> bool:
    left = rows.within(rest)
    if len(left) < FEWEST:
        return False
    return all(measure(left, n, bound, rest, seed=facts.seed).status is Status.PASS for n, bound in bounds.items())


def _status(back: _Return, within_s: float) -> Status:
    if back.after_s is not None and back.after_s <= within_s:
        return Status.PASS
    if any(measured.status is Status.FAIL for _, measured in back.at_limit):
        return Status.FAIL
    all_held = bool(back.at_limit) and all(measured.status is Status.PASS for _, measured in back.at_limit)
    return Status.PASS if all_held else Status.UNKNOWN


def _too_few(window: Window, within_s: float, requests: int) -> str:
    seen_s = (window.end_ns - window.start_ns) / NS_PER_S
    if seen_s <= within_s and requests >= FEWEST:
        return f"The run ended {seen_s:.0f} s after the fault, too early to tell: make the recovery phase longer."
    return "Too few requests after the fault to decide it: make the recovery phase longer, or load it more."
