"""Is the recording whole, did every service stay up, whose clock is off: what a verdict rests on before any claim."""

from collections.abc import Iterator

from harness.evidence.account.account import NEED
from harness.evidence.account.loss import Scope, Signal, Wholeness
from harness.evidence.account.scrapes import lost_scrapes
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase, Severity
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind

_BOUND = f">= {NEED:.0%} of each signal, in every phase"
_KILLED_FROM_OUTSIDE = (-9, 137, -15, 143)  # by the kernel when memory is short, or by a person
_ALIKE_NS = 5 * NS_PER_S  # a fault on a service may end it a while before or after it is known to be there


def recording_whole(facts: Facts, stood_on: frozenset[Signal]) -> Iterator[Finding]:
    """State the account of each signal, by its worst phase; what no check of this run stands on is a warning."""
    windows = [facts.phase(phase) for phase in Phase]
    for signal in Signal:
        phases = [(facts.books.whole(signal, Scope(window)), window) for window in windows]
        worst, window = min(phases, key=lambda found: found[0].share)
        if worst.missing or signal is Signal.REQUESTS:
            severity = Severity.CRITICAL if signal in stood_on else Severity.WARNING
            yield _account(signal, worst, window if worst.missing else _whole(windows), severity)
    yield from _scrapes(facts, _whole(windows))
    yield from _clocks(facts, _whole(windows))


def _account(signal: Signal, worst: Wholeness, window: Window, severity: Severity) -> Finding:
    is_whole = worst.share >= NEED
    return Finding(
        check="",
        subject=signal.value,
        status=Status.PASS if is_whole else Status.UNKNOWN,
        value=f"{worst.share:.1%}" + (f" in {window.name}" if worst.missing else ""),
        bound=_BOUND,
        samples=worst.present,
        window=window,
        severity=severity,
        cause=None if is_whole else Cause.TELEMETRY_LOST,
        reason=str(worst) if worst.missing else "",
        measure=signal.value,
    )


def _scrapes(facts: Facts, window: Window) -> Iterator[Finding]:
    """A service whose metrics have gaps: told only; each check of a metric looks at its own series."""
    gaps: dict[str, list[str]] = {}
    for loss in lost_scrapes(facts):
        gaps.setdefault(loss.about, []).append(loss.told)
    for service, told in gaps.items():
        yield Finding(
            check="",
            subject=f"metrics of {service}",
            status=Status.FAIL,
            value=f"{len(told)} gap{'s' if len(told) > 1 else ''}",
            bound="one scrape a second",
            samples=len(facts.scrapes[service]),
            window=window,
            severity=Severity.WARNING,
            reason="; ".join(told[:3]) + ".",
            measure=f"metrics of {service}",
        )


def _clocks(facts: Facts, window: Window) -> Iterator[Finding]:
    for service, offset_ns in facts.clock_offsets.items():
        seconds = offset_ns / NS_PER_S
        yield Finding(
            check="",
            subject=f"clock of {service}",
            status=Status.FAIL,
            value=f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the harness",
            bound="within 250 ms",
            samples=1,
            window=window,
            severity=Severity.WARNING,
            reason="Its spans are moved by this much where their times are compared: synchronise the clock.",
            measure=f"clock of {service}",
        )


def _whole(windows: list[Window]) -> Window:
    return Window("all phases", windows[0].start_ns, windows[-1].end_ns)


def services_stayed_up(facts: Facts) -> Iterator[Finding]:
    """Judge every service that exited while the load went on and nobody had asked it to.

    One that ends by itself under the fault or after it fails: the claim says who may be hurt, and a service that dies
    hurts everybody. One that something else killed, or that died before the fault, decides nothing.
    """
    begin_ns, end_ns = facts.phase(Phase.WARMUP).start_ns, facts.phase(Phase.RECOVERY).end_ns
    exits = [e for e in facts.recording.events_of(Kind.PROCESS_EXITED) if begin_ns <= e.time_ns < end_ns]
    for event in exits:
        if event.fields.get("expected") is False and not _explained(facts, event):
            yield _exit(facts, event)


def _explained(facts: Facts, event: Event) -> bool:
    """Say whether a fault on the service itself was there."""
    for number, fault in enumerate(facts.plan.scenario.faults):
        window = facts.fault_window(number)
        near = window.start_ns - _ALIKE_NS <= event.time_ns < window.end_ns + _ALIKE_NS
        if near and fault.service == event.text("service"):
            return True
    return False


def _exit(facts: Facts, event: Event) -> Finding:
    code = int(event.number("code"))
    before = event.time_ns < facts.phase(Phase.FAULT).start_ns
    failed = not before and code not in _KILLED_FROM_OUTSIDE
    cause = None if failed else Cause.SICK_BASELINE if before else Cause.TELEMETRY_LOST
    reason = "It ended by itself: see its log." if failed else "No fault explains it: see its log and the machine's."
    return Finding(
        check="",
        subject=event.text("service"),
        status=Status.FAIL if failed else Status.UNKNOWN,
        value=f"exited with code {code} at {facts.offset_s(event.time_ns):.1f} s",
        bound="stays up",
        samples=1,
        window=None,
        cause=cause,
        reason=reason,
        measure=event.text("service"),
    )
