"""run.json of earlier formats, brought to the present one step by step.

A format's number goes up when an older harness could not read, or would misread, what a newer one writes; a new key
needs no new format. Each step is a function from a document of its format to one of the next. It is written once and
never changed: what it reads was written by harnesses that are out there.

    format 1   harness 0.1.0
    format 2   secrets are replaced by a marker; a run that ended has a digest of run.json itself
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

FORMAT = 2

Document: TypeAlias = dict[str, Any]


class UnknownFormatError(ValueError):
    """The document has no format that this version reads; the message says why."""


def migrate(document: Document) -> Document:
    """Return *document* in the present format; UnknownFormatError for a newer one, and for what has none."""
    found = document.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        msg = f"its format is a number from 1 to {FORMAT}, this one has {str(found)[:40]!r}"
        raise UnknownFormatError(msg)
    if found > FORMAT:
        msg = f"format {str(found)[:40]} is newer than this harness, which reads formats up to {FORMAT}: update it"
        raise UnknownFormatError(msg)
    for step in range(found, FORMAT):
        document = {**STEPS[step](document), "format": step + 1}
    return document


def _from_1(document: Document) -> Document:
    """Nothing has another name or place: what format 2 adds is absent."""
    return document


STEPS: Mapping[int, Callable[[Document], Document]] = {1: _from_1}
"""By the format that a step reads."""
