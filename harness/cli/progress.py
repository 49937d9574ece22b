"""Live progress on stderr: a line for each thing that matters, and on a terminal one line that keeps moving."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from harness.model.files.scenario import Phase
from harness.model.files.units import format_duration
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan

_STYLES = {"fault": "red", "undone": "green", "breaker": "yellow", "problem": "bold red", "phase": "bold cyan"}


class Progress:
    """Folds the event stream of a run into lines that a person follows; `show_load` moves the last one."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._zero_ns: int | None = None
        self._phase = "starting"
        self._breakers: dict[tuple[str, str], str] = {}
        self._live = (
            Live(Text(""), console=console, transient=True, refresh_per_second=4) if console.is_terminal else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def hear(self, event: Event) -> None:
        """Print a line if *event* deserves one."""
        if self._zero_ns is None:
            self._zero_ns = event.time_ns
        said = self._say(event)
        if said:
            label, text = said
            at_s = max(0.0, (event.time_ns - self._zero_ns) / NS_PER_S)
            style = _STYLES.get(label, "")
            self._console.print(f"{at_s:6.1f}s  [{style or 'default'}]{label:<9}[/] {escape(text)}", highlight=False)

    def _say(self, event: Event) -> tuple[str, str] | None:
        match event.kind:
            case Kind.RUN_STARTED:
                return "start", f"{len(self._plan.target.services)} processes of {self._plan.target.name}"
            case Kind.STACK_STARTED:
                return "start", f"all healthy after {event.number('seconds'):.1f}s; load follows"
            case Kind.PHASE_STARTED:
                self._phase = event.text("phase")
                return "phase", f"{self._phase} ({format_duration(self._plan.phases.seconds(Phase(self._phase)))})"
            case Kind.FAULT_APPLIED:
                return "fault", f"{event.text('place')}: {event.text('kind')} applied"
            case Kind.FAULT_UNDONE:
                by = event.text("by")
                return "undone", f"{event.text('fault')} undone and read back" + (
                    f" by the {by}" if by != "harness" else ""
                )
            case Kind.BREAKER_CHANGED:
                return self._breaker(event)
            case Kind.NOTE:
                return "note", event.text("text")
        problem = _problem(event)
        return ("problem", problem) if problem else None

    def _breaker(self, event: Event) -> tuple[str, str] | None:
        """Say when a breaker opens and when it has closed again, not each probe between."""
        key, to = (event.text("service"), event.text("breaker")), event.text("to_state")
        before = self._breakers.get(key, "closed")
        if to in ("half_open", before):
            return None
        self._breakers[key] = to
        return "breaker", f"{event.text('breaker')} {to}"

    def show_load(self, progress: Mapping[str, Any]) -> None:
        """Move the live line: what each tenant gets at the moment."""
        if self._live:
            tenants = "  ".join(_tenant(name, counts) for name, counts in progress.get("progress", {}).items())
            self._live.update(Text.from_markup(f"         [bold]{self._phase:<9}[/] {tenants}"))


def _problem(event: Event) -> str:
    match event.kind:
        case Kind.FAULT_FAILED:
            return f"{event.text('fault')}: {event.text('step')} failed: {event.text('cause')}"
        case Kind.GUARDRAIL_TRIPPED:
            who = f"{event.text('tenant')} {event.text('flow')}"
            return f"{event.text('guardrail')} tripped: {who} {event.text('value')}"
        case Kind.PROCESS_EXITED if not event.fields.get("expected"):
            return f"{event.text('service')} exited (code {event.text('code') or 'unknown'})"
        case Kind.TELEMETRY_LOST:
            return f"telemetry lost: {event.text('count')} {event.text('what')}"
    return ""


def _tenant(name: str, counts: Mapping[str, Any]) -> str:
    sent, ok = int(counts.get("sent", 0)), int(counts.get("ok", 0))
    bad = sent - ok
    latency = counts.get("p95_ms")
    speed = f"{latency:.0f}ms" if isinstance(latency, int | float) else "-"
    colour = "red" if bad else "green"
    return f"{escape(name)} [{colour}]{ok} ok[/]" + (f" [red]{bad} not[/]" if bad else "") + f" p95 {speed}"
