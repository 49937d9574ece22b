"""A flow answers, well or badly, within its deadline."""

from collections.abc import Iterator
from dataclasses import replace

from harness.checks.bounds import finding_of, measure_share
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import DeadlineCheck, Phase
from harness.model.files.units import Bound
from harness.model.result.finding import Finding
from harness.recording.columns import Outcome


def deadline(facts: Facts, spec: DeadlineCheck) -> Iterator[Finding]:
    """Judge each tenant: that share of the requests under the fault was answered in time; no answer is not in time."""
    for pair in facts.loaded:
        if pair.flow == spec.flow and pair.tenant in (spec.tenants or (pair.tenant,)):
            yield _judge(facts, pair, spec)


def _judge(facts: Facts, pair: Pair, spec: DeadlineCheck) -> Finding:
    window = facts.phase(Phase.FAULT)
    rows = facts.requests.of(pair).within(window)
    late = rows.ended(Outcome.UNKNOWN) | (rows.latency_ms > spec.within * 1000)
    bound = Bound("<=", round(1 - spec.share, 9), "%")
    measured = measure_share(rows, late, bound, window, seed=facts.seed)
    written = finding_of(facts, f"{pair.tenant} {pair.flow}", measured, bound, window)
    return replace(
        written,
        value=f"{len(rows) - measured.bad} of {len(rows)} within {spec.within * 1000:g} ms{_slowest(rows)}",
        bound=f">= {spec.share * 100:g}%",
        tenant=pair.tenant,
        flow=pair.flow,
    )


def _slowest(rows: Requests) -> str:
    answered = rows.only(~rows.ended(Outcome.UNKNOWN, Outcome.DROPPED))
    return f", the slowest {answered.latency_ms.max():.0f} ms" if len(answered) else ""
