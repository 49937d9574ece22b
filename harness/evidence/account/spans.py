"""What the spans of a recording say of each other: those that are missing, and the clocks that are off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.evidence.account.loss import Times
from harness.evidence.account.traces import missing_spans
from harness.evidence.clocks import clock_offsets
from harness.evidence.pairing import link_up, load_ends

if TYPE_CHECKING:
    from harness.evidence.facts import Facts


@dataclass(frozen=True, slots=True)
class SpanAccount:
    """When spans, or requests that spans show, are missing; and by how much services' clocks are ahead, ns."""

    times: Sequence[Times]
    offsets: Mapping[str, int]


def span_account(facts: "Facts") -> SpanAccount:
    """Look at all client and server spans once."""
    spans = load_ends(facts.recording)
    links = link_up(spans)
    return SpanAccount(tuple(missing_spans(facts, spans, links)), clock_offsets(facts, spans, links))
