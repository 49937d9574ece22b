"""The judgement: a pure function from the evidence of a recording to findings."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.evidence.facts import Facts
from harness.evidence.requests import Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Cause, Finding, Measured, Status
from harness.recording.columns import Outcome
from tenant_fairness.kind import FairnessCheck

FEWEST = 20
"""A p95 of fewer answers is the slowest of them, whatever it is."""


def fairness(facts: Facts, spec: FairnessCheck) -> Iterator[Finding]:
    """Compare the tenants' p95 in the fault phase; requests without a good answer are other checks' matter."""
    window = facts.phase(Phase.FAULT)
    of_tenant = {p.tenant: _good(facts.requests.of(p).within(window)) for p in facts.loaded if p.flow == spec.flow}
    fewest = min(map(len, of_tenant.values()), default=0)
    found = Finding(
        check="",
        subject=spec.flow,
        status=Status.NOT_EXERCISED,
        value=f"{len(of_tenant)} tenant",
        bound=str(spec.spread),
        samples=fewest,
        window=window,
        flow=spec.flow,
        measure="spread",
        limit=spec.spread,
    )
    if len(of_tenant) < 2:
        yield replace(found, reason="Only one tenant has load on the flow: there is nobody to compare it with.")
    elif fewest < FEWEST:
        reason = f"A tenant has {fewest} good answers; {FEWEST} are needed. Raise its rate, or lengthen the phase."
        yield found.undecided(Cause.TOO_FEW_SAMPLES, reason)
    else:
        yield _compared(found, spec, {tenant: _p95_ms(rows) for tenant, rows in of_tenant.items()})


def _compared(found: Finding, spec: FairnessCheck, p95_ms: dict[str, float]) -> Finding:
    slowest, fastest = max(p95_ms, key=p95_ms.__getitem__), min(p95_ms, key=p95_ms.__getitem__)
    spread = p95_ms[slowest] / max(p95_ms[fastest], 0.001)
    holds = spec.spread.holds(spread)
    return replace(
        found,
        status=Status.PASS if holds else Status.FAIL,
        value=f"{spread:.1f}x: {slowest} {p95_ms[slowest]:.0f} ms, {fastest} {p95_ms[fastest]:.0f} ms",
        reason="" if holds else f"{slowest} is served much more slowly than {fastest}.",
        measured=Measured.of(spread, "x"),
    )


def _good(rows: Requests) -> Requests:
    return rows.only(rows.ended(Outcome.OK))


def _p95_ms(rows: Requests) -> float:
    return float(np.quantile(rows.latency_ms, 0.95, method="higher"))
