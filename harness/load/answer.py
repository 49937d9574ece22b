"""What an answer means: its outcome, and whose data it holds."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from harness.model.files.target import Step
from harness.recording.columns import Outcome

_LONGEST_ERROR_BODY = 65_536
_LONGEST_ERROR = 80
_REFUSALS = (429, 503)
_DOOR_SHUT = frozenset({"tls", "connection reset", "connection closed"})
"""How a client learns that it is not let in: with TLS 1.3 only when it reads.

A timeout is no refusal; nor is a port on which nobody listens: a dead service lets nobody in either.
"""


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


def judge(answer: Answer, step: Step, *, tenant: str, others: Collection[str] = ()) -> Judged:
    """Say how *step* ended for *tenant*; *others* are the tenants whose data it must not be given.

    Every answer with a body is searched for foreign data, an error as well: a 500 can hold another tenant's rows.
    """
    if answer.status == 0:
        if step.expect == "refused" and answer.error in _DOOR_SHUT:
            return Judged(Outcome.OK, answer.error)
        return Judged(Outcome.UNKNOWN, answer.error or "no answer")
    document = parse_json(answer.body) if step.watermark or step.content else None
    foreign = _foreign(document, step.watermark, tenant, others) if step.watermark else None
    if is_expected(answer, step):
        wrong = _wrong_content(document, answer.body, step)
        return Judged(Outcome.FAILED if wrong else Outcome.OK, wrong, foreign)
    outcome = Outcome.REFUSED if answer.status in _REFUSALS else Outcome.FAILED
    return Judged(outcome, error_code(answer.body) or f"status {answer.status}", foreign)


def is_expected(answer: Answer, step: Step) -> bool:
    """Say whether the status is (one of) what *step* asks for."""
    return answer.status in (step.expect if isinstance(step.expect, list) else [step.expect])


def ledger_type(answer: Answer, step: Step) -> str:
    """Say what the client may believe of a write: ok, fail (definitely not done) or unknown (it may have been)."""
    if is_expected(answer, step):
        return "ok" if step.content is None or parse_json(answer.body) is not None else "unknown"
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


def _wrong_content(document: Any, body: bytes, step: Step) -> str | None:
    """Say what is wrong with the content of an answer whose status is right; None where it is what the step states.

    An answer that should name its tenant and does not, an empty list included, cannot be trusted.
    """
    if step.content is not None and document is None:
        return "not JSON"
    if step.contains is not None and step.contains.encode() not in body:
        return "content missing"
    if step.watermark is not None:
        named = values_at(document, step.watermark)
        return "watermark missing" if not named or None in named else None
    return None


def _foreign(document: Any, watermark: str, tenant: str, others: Collection[str]) -> str | None:
    """Return another tenant whose data *document* holds: at the watermark, or under its name anywhere else."""
    there = (str(name) for name in values_at(document, watermark) if name is not None)
    elsewhere = (name for name in _values_named(document, watermark.rpartition(".")[2]) if name in others)
    return next((name for name in (*there, *elsewhere) if name != tenant), None)


def _values_named(document: Any, name: str) -> Iterator[str]:
    """Yield every text that stands under the key *name*, at whatever depth."""
    places = [document]
    while places:
        place = places.pop()
        if isinstance(place, dict):
            if isinstance(found := place.get(name), str):
                yield found
            places += place.values()
        elif isinstance(place, list):
            places += place
