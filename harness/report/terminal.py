"""The about ten lines that end a run on the terminal."""

import textwrap
from collections.abc import Iterator

from harness.model.result.finding import Finding, How, Verdict
from harness.recording.reader import Recording
from harness.report import sentences
from harness.report.answers import Answers, answer
from harness.report.observed import Observed, observe
from harness.report.trust import Trust, trust
from harness.report.words import FINDING_MARKS, VERDICT_MARKS, one_line, seconds, verdict_word

_STYLES = {"good": "\x1b[1;32m", "bad": "\x1b[1;31m", "unsure": "\x1b[1;33m", "faint": "\x1b[2m"}
_RESET = "\x1b[0m"
_LABEL_WIDTH = 11
_SHOWN_TROUBLES = 8


def summary(recording: Recording, verdict: Verdict, *, width: int, colour: bool) -> str:
    """Return the verdict, who was hurt, how fast it was over, what failed and whether to believe it.

    No line is wider than *width* columns (40 at least); escape codes only with *colour*. Names from scenarios and
    targets cannot smuggle control characters in.
    """
    observed = observe(recording)
    return "\n".join(_Lines(max(40, width), colour).all(observed, verdict, answer(observed, verdict)))


class _Lines:
    def __init__(self, width: int, colour: bool) -> None:
        self._width = width
        self._colour = colour

    def all(self, observed: Observed, verdict: Verdict, answers: Answers) -> Iterator[str]:
        yield from self._headline(observed, verdict)
        yield from self._said("hurt", sentences.who_was_hurt(answers))
        for experience in answers.hurt[:3]:
            pair = experience.pair
            yield from self._said("", f"{pair.tenant} {pair.flow}: {sentences.how_it_was(experience)}")
        yield from self._said("contained", sentences.how_contained(answers))
        yield from self._said("recovered", sentences.how_recovered(answers))
        yield from self._said("checks", sentences.tally(verdict, observed.plan))
        yield from self._findings(verdict)
        yield from self._said("trust", " · ".join(_trust_word(item) for item in trust(observed, verdict)))

    def _headline(self, observed: Observed, verdict: Verdict) -> Iterator[str]:
        mark, plan = VERDICT_MARKS[verdict.status], observed.plan
        length = f", {seconds(plan.phases.total_s)}" + (
            "" if verdict.how is How.COMPLETED else f", {verdict.how.value}"
        )
        without = f", without {', '.join(plan.without)}" if plan.without else ""
        headline = f"{mark.symbol} {verdict_word(verdict)}"
        about = one_line(f"{plan.name} (seed {plan.seed}{length}{without})")
        yield f"{self._paint(mark.tone, headline)}  {self._cut(about, len(headline) + 2)}"
        yield from self._wrapped(plan.scenario.claim, "  ")
        if verdict.summary:
            yield from self._wrapped(verdict.summary, "  ")
        if not verdict.rollback_confirmed:
            yield from self._wrapped("! ROLLBACK NOT CONFIRMED: run `harness recover`", "", tone="bad")

    def _findings(self, verdict: Verdict) -> Iterator[str]:
        found = sentences.troubles(verdict)
        for finding in found[:_SHOWN_TROUBLES]:
            yield from self._finding(finding)
        if len(found) > _SHOWN_TROUBLES:
            yield f"  and {len(found) - _SHOWN_TROUBLES} more, in the report"
        for finding in sentences.warnings(verdict)[:3]:
            yield from self._finding(finding, symbol="!", tone="unsure")

    def _finding(self, finding: Finding, symbol: str = "", tone: str = "") -> Iterator[str]:
        mark = FINDING_MARKS[finding.status]
        value = finding.value or (finding.cause.value if finding.cause else "no value")
        bound = f" (bound {finding.bound}, n {finding.samples:,})"
        text = f"{symbol or mark.symbol} {finding.check}: {finding.subject}: {value}{bound}"
        yield from self._wrapped(text, "  ", tone=tone or mark.tone, hang="  ")
        if finding.reason:
            yield from self._wrapped(finding.reason, "    ")

    def _said(self, label: str, text: str) -> Iterator[str]:
        lines = textwrap.wrap(one_line(text), self._width - _LABEL_WIDTH) or [""]
        yield f"{self._paint('faint', label.ljust(_LABEL_WIDTH))}{lines[0]}"
        yield from (f"{' ' * _LABEL_WIDTH}{line}" for line in lines[1:])

    def _wrapped(self, text: str, indent: str, *, tone: str = "", hang: str = "") -> Iterator[str]:
        for line in textwrap.wrap(one_line(text), self._width, initial_indent=indent, subsequent_indent=indent + hang):
            yield self._paint(tone, line)

    def _paint(self, tone: str, text: str) -> str:
        return f"{_STYLES[tone]}{text}{_RESET}" if self._colour and tone and text.strip() else text

    def _cut(self, text: str, used: int) -> str:
        room = self._width - used
        return text if len(text) <= room else text[: room - 1] + "…"


def _trust_word(item: Trust) -> str:
    """Name a good reason; say of a bad one what is wrong."""
    if item.mark.tone == "good":
        return f"{item.name} {item.value}" if item.name in ("generator lag", "machine busy") else item.name
    return f"{item.mark.symbol} {item.name}: {item.value}"
