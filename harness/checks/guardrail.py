"""Was the run ended early because those who should be spared were hurt too much?"""

from collections.abc import Iterator

from harness.evidence.facts import Facts
from harness.model.result.finding import Finding, Status
from harness.model.run.events import Kind


def guardrail(facts: Facts) -> Iterator[Finding]:
    """A guardrail that tripped is a failure of its own; one that did not is no evidence of anything."""
    for event in facts.recording.events_of(Kind.GUARDRAIL_TRIPPED):
        yield Finding(
            "",
            f"{event.text('tenant')} {event.text('flow')} {event.text('measure')}",
            Status.FAIL,
            event.text("value"),
            f"not {event.text('bound')}",
            int(event.number("samples")),
            None,
            tenant=event.text("tenant") or None,
            flow=event.text("flow") or None,
            measure=event.text("measure"),
            reason=f"{event.text('guardrail')} ended the run {facts.offset_s(event.time_ns):.1f} s into it.",
        )
