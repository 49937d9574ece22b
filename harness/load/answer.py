"""What an answer means: its outcome, and whose data it holds."""

import json
from dataclasses import dataclass
from typing import Any

from harness.model.files.target import Step
from harness.recording.columns import Outcome

_LONGEST_ERROR_BODY = 65_536
_LONGEST_ERROR = 80
_REFUSALS = (429, 503)
_DOOR_SHUT = frozenset({"tls", "connection refused", "connection reset", "connection closed"})
"""How a client learns that it is not let in: with TLS 1.3 only when it reads. A timeout is no refusal."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request. Status 0: no answer, and `error` says why in a few lower-case words."""

    status: int = 0
    body: bytes = b""
    retry_after: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer as the recording keeps it; `foreign` is another tenant whose data it held."""

    outcome: Outcome
    error: str | None = None
    foreign: str | None = None


def judge(answer: Answer, step: Step, *, tenant: str) -> Judged:
    """Say how *step* ended for *tenant*."""
    if answer.status == 0:
        if step.expect == "refused" and answer.error in _DOOR_SHUT:
            return Judged(Outcome.OK)
        return Judged(Outcome.UNKNOWN, answer.error or "no answer")
    if is_expected(answer, step):
        return _judge_content(answer.body, step.watermark, tenant)
    outcome = Outcome.REFUSED if answer.status in _REFUSALS else Outcome.FAILED
    return Judged(outcome, error_code(answer.body) or f"status {answer.status}")


def is_expected(answer: Answer, step: Step) -> bool:
    """Say whether the status is (one of) what *step* asks for."""
    return answer.status in (step.expect if isinstance(step.expect, list) else [step.expect])


def ledger_type(answer: Answer, step: Step) -> str:
    """Say what the client may believe of a write: ok, fail (definitely not done) or unknown (it may have been)."""
    if is_expected(answer, step):
        return "ok"
    return "fail" if 400 <= answer.status < 500 else "unknown"


def names_trace(answer: Answer, path: str, trace_id: bytes) -> bool:
    """Say whether an error answer names, at *path*, the trace of its own request: a person starts there."""
    document = parse_json(answer.body) if len(answer.body) <= _LONGEST_ERROR_BODY else None
    return bool(value_at(document, path) == trace_id.hex())


def values_at(document: Any, path: str) -> list[Any]:
    """Return everything that *path* ("tenant", "a.b", "orders[].tenant") leads to; None for each that is absent."""
    found = [document]
    for segment in path.split("."):
        name = segment.removesuffix("[]")
        if name:
            found = [place.get(name) if isinstance(place, dict) else None for place in found]
        if segment.endswith("[]"):
            found = [item for place in found for item in (place if isinstance(place, list) else [None])]
    return found


def value_at(document: Any, path: str) -> Any:
    """Return the first value that *path* leads to; None where there is none."""
    return next(iter(values_at(document, path)), None)


def error_code(body: bytes) -> str | None:
    """Return the `error` code that a JSON error body gives; None where it is no such body."""
    document = parse_json(body) if len(body) <= _LONGEST_ERROR_BODY else None
    code = document.get("error") if isinstance(document, dict) else None
    return code[:_LONGEST_ERROR] if isinstance(code, str) and code else None


def parse_json(body: bytes) -> Any:
    """Return the document; None where *body* is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _judge_content(body: bytes, watermark: str | None, tenant: str) -> Judged:
    """An answer that should name its tenant and does not, an empty list included, cannot be trusted."""
    if watermark is None:
        return Judged(Outcome.OK)
    named = values_at(parse_json(body), watermark)
    foreign = next((str(name) for name in named if name is not None and str(name) != tenant), None)
    if not named or None in named:
        return Judged(Outcome.FAILED, "watermark missing", foreign)
    return Judged(Outcome.OK, foreign=foreign)
