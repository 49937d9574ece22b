"""Everything that the template of the page shows, computed before the first tag is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.model.files.scenario import Severity
from harness.model.result.finding import Finding, How, Status, Verdict
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.report import sentences
from harness.report.answers import Answers, answer
from harness.report.axis import Axis
from harness.report.charts import Chart, draw
from harness.report.heatmap import LEVEL_NAMES, HeatMap, heat_map
from harness.report.interactive import chart_data
from harness.report.lanes import Lane, lanes
from harness.report.observed import Observed
from harness.report.origin import Origin, origin
from harness.report.panels import drawn_tenants, panels
from harness.report.story import Moment, story
from harness.report.trust import Trust, trust
from harness.report.waterfall import Comparison, comparisons
from harness.report.words import FINDING_MARKS, VERDICT_MARKS, Mark, one_line, seconds, utc, verdict_word, window_text


@dataclass(frozen=True, slots=True)
class Row:
    """One finding in a table."""

    finding: Finding
    mark: Mark
    window: str


@dataclass(frozen=True, slots=True)
class Passed:
    """The findings of one check that passed, shown as one line until somebody looks."""

    check: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One of the first questions with its answer."""

    question: str
    answer: str
    tone: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Charts and lanes above one axis."""

    axis: Axis
    charts: tuple[Chart, ...]
    tenants: tuple[tuple[int, str, bool], ...]  # style, name, victim
    hidden: int


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    title: str
    mark: Mark
    headline: str
    claim: str
    summary: str
    alert: str
    facts: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    trust: tuple[Trust, ...]
    missing: tuple[str, ...]
    heat: HeatMap | None
    levels: tuple[str, ...]
    timeline: Timeline | None
    lanes: tuple[Lane, ...]
    story: tuple[Moment, ...]
    troubles: tuple[Row, ...]
    warnings: tuple[Row, ...]
    not_exercised: tuple[Row, ...]
    passed: tuple[Passed, ...]
    tally: str
    answers: Answers
    comparisons: tuple[Comparison, ...]
    origin: Origin
    data: str


def build(observed: Observed, verdict: Verdict) -> Page:
    """Compute the page of a run, whatever is missing of it."""
    answers, plan = answer(observed, verdict), observed.plan
    heat, timeline = heat_map(observed), _timeline(observed)
    drawn = lanes(observed, observed.coarse) if observed.coarse else ()
    mark = VERDICT_MARKS[verdict.status]
    return Page(
        title=f"{mark.word}: {plan.name}",
        mark=mark,
        headline=verdict_word(verdict),
        claim=" ".join(plan.scenario.claim.split()),
        summary=verdict.summary,
        alert=_alert(verdict),
        facts=tuple(_facts(observed)),
        cards=_cards(answers),
        trust=trust(observed, verdict),
        missing=tuple(_missing(observed)),
        heat=heat,
        levels=LEVEL_NAMES,
        timeline=timeline,
        lanes=drawn,
        story=story(observed, answers),
        troubles=_rows(sentences.troubles(verdict), observed),
        warnings=_rows(sentences.warnings(verdict), observed),
        not_exercised=_rows([f for f in verdict.findings if f.status is Status.NOT_EXERCISED], observed),
        passed=_passed(verdict, observed),
        tally=sentences.tally(verdict, plan),
        answers=answers,
        comparisons=comparisons(observed, answers),
        origin=origin(observed),
        data=chart_data(observed, drawn, heat),
    )


def _alert(verdict: Verdict) -> str:
    if not verdict.rollback_confirmed:
        return "The rollback could not be confirmed: a fault may still be in place. Run `harness recover`."
    ended = {How.INTERRUPTED: "The run was interrupted.", How.FAILED: "The run failed before its end."}
    return ended.get(verdict.how, "")


def _facts(observed: Observed) -> Iterator[tuple[str, str]]:
    manifest, plan = observed.recording.manifest, observed.plan
    yield "scenario", plan.name + (" (quick)" if plan.quick else "")
    if plan.without:
        yield "switched off", ", ".join(plan.without)
    yield "started", utc(manifest.started_ns)
    took = f" in {seconds((manifest.ended_ns - manifest.started_ns) / 1e9)} in all" if manifest.ended_ns else ""
    yield "load", seconds(plan.phases.total_s) + (f",{took}" if took else "")
    yield "seed", str(plan.seed)
    yield "target", plan.target.name
    version = manifest.versions.get("tenant-resilience-harness", "")
    yield "harness", " ".join(part for part in (version, manifest.versions.get("commit", "")) if part) or "unknown"


def _cards(answers: Answers) -> tuple[Card, ...]:
    hurt_tone = "bad" if answers.hurt_undeclared else "unsure" if answers.hurt else "good"
    late = answers.recovered is None or answers.recovered.after_s is None
    details = (f"{e.pair.tenant} {e.pair.flow}: {sentences.how_it_was(e)}" for e in answers.hurt[:4])
    contained_tone = "good" if answers.contained else "unsure" if answers.hurt else ""
    return (
        Card("Who was hurt?", sentences.who_was_hurt(answers), hurt_tone, tuple(details)),
        Card("How fast was it contained?", sentences.how_contained(answers), contained_tone),
        Card("When was it over?", sentences.how_recovered(answers), "bad" if late else "good"),
        Card("What broke first?", sentences.what_broke_first(answers), ""),
    )


def _missing(observed: Observed) -> Iterator[str]:
    """Say what a part of the page would have needed."""
    manifest = observed.recording.manifest
    if manifest.how is None:
        yield "the end of the run: the harness was killed while it ran"
    if manifest.cause:
        yield f"a good end: {one_line(manifest.cause)}"
    if not manifest.windows:
        yield "phases: the load never started"
    if not len(observed.requests):
        yield "requests: no tenant's experience, no heat map and no charts"
    if not observed.recording.rows(Table.SPANS):
        yield "spans: no traces, and no calls between services"
    if not observed.recording.rows(Table.METRICS):
        yield "metrics: memory and load of the processes are unknown"
    if not observed.events(Kind.FAULT_APPLIED, Kind.SURGE_DELIVERED):
        yield "a fault that was applied"


def _timeline(observed: Observed) -> Timeline | None:
    axis, folded = observed.coarse, observed.folded
    if axis is None or folded is None or not len(observed.requests):
        return None
    victims = observed.plan.scenario.blast_radius
    shown = drawn_tenants(observed)
    legend = tuple((style, tenant, tenant in victims) for style, tenant in enumerate(shown))
    charts = tuple(draw(panel) for panel in panels(observed, folded))
    return Timeline(axis, charts, legend, len(observed.tenants) - len(shown))


def _rows(findings: Sequence[Finding], observed: Observed) -> tuple[Row, ...]:
    zero_ns = observed.extent.zero_ns if observed.extent else None
    return tuple(Row(f, _mark(f), window_text(f, zero_ns)) for f in findings)


def _mark(finding: Finding) -> Mark:
    mark = FINDING_MARKS[finding.status]
    warns = finding.severity is Severity.WARNING and finding.status is Status.FAIL
    return Mark("!", "warning", "unsure") if warns else mark


def _passed(verdict: Verdict, observed: Observed) -> tuple[Passed, ...]:
    passed = [finding for finding in verdict.findings if finding.status is Status.PASS]
    order = list(dict.fromkeys(finding.check for finding in passed))
    grouped = groupby(sorted(passed, key=lambda f: order.index(f.check)), key=lambda f: f.check)
    return tuple(Passed(check, _rows(list(findings), observed)) for check, findings in grouped)
