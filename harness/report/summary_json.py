"""The answer of a run as JSON, for scripts: keys are added, never renamed or removed, while `format` stays."""

from dataclasses import asdict
from typing import Any

from harness.model.result.finding import Finding, Status, Verdict
from harness.recording.reader import Recording
from harness.report import sentences
from harness.report.answers import Answers, answer
from harness.report.experience import Experience
from harness.report.observed import observe
from harness.report.trust import trust
from harness.report.words import VERDICT_MARKS, utc

FORMAT = 1


def summary(recording: Recording, verdict: Verdict) -> dict[str, Any]:
    """Return what the report's first screen says, with numbers in the units that the keys name.

    | key | meaning |
    |---|---|
    | format | 1; another number means other keys |
    | run, scenario, claim, seed, quick, without, commit | what was run: the recording's id and its plan |
    | started, duration_s | UTC; planned length under load |
    | verdict, status | "held", "broken" or "unknown"; "pass", "fail" or "unknown" |
    | cause, how | why it is unknown, else null; "completed", "interrupted" or "failed" |
    | summary, exit_code, rollback_confirmed | one sentence; the documented exit code |
    | hurt | who lost what was promised: tenant, flow, declared, requests, not_ok_share, p95_ms, baseline_p95_ms |
    | contained, broke_first | {after_s, what}, or null where nothing was seen; seconds after the fault began |
    | recovered | {after_s}, seconds after the fault ended, null if not before the run did; null: not seen |
    | trust | name, ok, value of each reason to believe the verdict |
    | counts | findings by status (pass, fail, unknown, not_exercised), and warnings |
    | findings | every finding with all its fields; key names it across runs; queue is "page" or "review" |
    """
    observed = observe(recording)
    answers, plan = answer(observed, verdict), observed.plan
    return {
        "format": FORMAT,
        "run": recording.manifest.id,
        "scenario": plan.name,
        "claim": " ".join(plan.scenario.claim.split()),
        "seed": plan.seed,
        "quick": plan.quick,
        "without": list(plan.without),
        "commit": recording.manifest.versions.get("commit", ""),
        "started": utc(recording.manifest.started_ns),
        "duration_s": plan.phases.total_s,
        "verdict": VERDICT_MARKS[verdict.status].word.lower(),
        "status": verdict.status.value,
        "cause": verdict.cause.value if verdict.cause else None,
        "how": verdict.how.value,
        "summary": verdict.summary,
        "exit_code": int(verdict.exit_code),
        "rollback_confirmed": verdict.rollback_confirmed,
        **_answers(answers),
        "trust": [{"name": t.name, "ok": t.mark.tone == "good", "value": t.value} for t in trust(observed, verdict)],
        "counts": _counts(verdict),
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _answers(answers: Answers) -> dict[str, Any]:
    contained, first, recovered = answers.contained, answers.broke_first, answers.recovered
    return {
        "hurt": [_hurt(experience) for experience in answers.hurt],
        "contained": {"after_s": round(contained.after_s, 3), "what": contained.what} if contained else None,
        "broke_first": {"after_s": round(first.after_s, 3), "what": first.what} if first else None,
        "recovered": {"after_s": _rounded(recovered.after_s, 3)} if recovered else None,
    }


def _hurt(experience: Experience) -> dict[str, Any]:
    return {
        "tenant": experience.pair.tenant,
        "flow": experience.pair.flow,
        "declared": experience.declared,
        "requests": experience.during.requests,
        "not_ok_share": _rounded(experience.during.bad_share, 5),
        "p95_ms": _rounded(experience.during.p95_ms, 1),
        "baseline_p95_ms": _rounded(experience.before.p95_ms, 1),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    """Round; what JSON cannot say (infinite: never answered) is null."""
    return round(value, digits) if value is not None and value < float("inf") else None


def _counts(verdict: Verdict) -> dict[str, int]:
    troubles, warnings = sentences.troubles(verdict), sentences.warnings(verdict)
    failed = sum(finding.status.value == "fail" for finding in troubles)
    not_exercised = sum(finding.status is Status.NOT_EXERCISED for finding in verdict.findings)
    return {
        "pass": len(verdict.findings) - len(troubles) - len(warnings) - not_exercised,
        "not_exercised": not_exercised,
        "fail": failed,
        "unknown": len(troubles) - failed,
        "warnings": len(warnings),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    window = finding.window
    return {
        "check": finding.check,
        "subject": finding.subject,
        "status": finding.status.value,
        "severity": finding.severity.value,
        "queue": finding.severity.queue,
        "value": finding.value,
        "bound": finding.bound,
        "samples": finding.samples,
        "window": {"name": window.name, "start_ns": window.start_ns, "end_ns": window.end_ns} if window else None,
        "cause": finding.cause.value if finding.cause else None,
        "reason": finding.reason,
        "tenant": finding.tenant,
        "flow": finding.flow,
        "link": finding.link,
        "key": finding.key,
        "measured": asdict(finding.measured) if finding.measured else None,
        "limit": asdict(finding.limit) if finding.limit else None,
        "evidence": [{"text": line.text, "trace_id": line.trace_id} for line in finding.evidence],
    }
