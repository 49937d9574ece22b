"""Events: facts of one tenant, in order for each key they are about. Whoever reads one checks it like a request.

The subject of an event names its tenant: `orders.confirmed` of tenant acme travels as `orders.acme.confirmed`, so that
whose event it is can be checked against what it says itself.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_MAX_BIGINT = 2**63 - 1
_MAX_SEQUENCE = 2**31 - 1


class EventRejectedError(Exception):
    """The event can never be applied, however often it is delivered; the message says why."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whose action an event comes from, as the token of that request proved it."""

    subject: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `sequence` counts the events about one key from 1, without gaps."""

    type: str
    tenant: str
    key: str
    sequence: int
    occurred_ns: int
    actor: Actor
    data: Mapping[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)  # traceparent of what it comes from; travels beside it, not in it

    @property
    def id(self) -> str:
        """What tells this event from any other, of any tenant, however often it is published."""
        return f"{self.tenant}:{self.key}:{self.sequence}"

    @property
    def subject(self) -> str:
        """Where it is published; raises EventRejectedError for a type that names no such place."""
        topic, verb = _type({"type": self.type}).split(".")
        return f"{topic}.{self.tenant}.{verb}"


def encode(event: Event) -> bytes:
    """Return the body of the message; raise ValueError or TypeError when its data are not JSON."""
    body = {
        "type": event.type,
        "tenant": event.tenant,
        "key": event.key,
        "sequence": event.sequence,
        "occurred_ns": event.occurred_ns,
        "actor": {"subject": event.actor.subject, "roles": sorted(event.actor.roles)},
        "data": event.data,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def decode(subject: str, body: bytes, tenants: Collection[str], role: str) -> Event:
    """Return the event of a message whose tenant is one of *tenants* and whose actor had *role*.

    Raises EventRejectedError for anything else, above all for an event of another tenant than its subject's.
    """
    event = _parse(body)
    if event.tenant not in tenants:
        raise EventRejectedError("the event is of a tenant that is not served here")
    if event.subject != subject:
        raise EventRejectedError(f"tenant or type of the event is not that of its subject {subject!r}")
    if role not in event.actor.roles:
        raise EventRejectedError(f"its actor lacks the role {role!r}")
    return event


def tenant_of(subject: str, tenants: Collection[str]) -> str:
    """Return the tenant that a subject names, "" when it names none that is served here."""
    parts = subject.split(".")
    return parts[1] if len(parts) == 3 and parts[1] in tenants else ""


def text_of(data: Mapping[str, Any], name: str, longest: int = 200) -> str:
    """Return a text of an event's data; raise EventRejectedError when it is none that a database takes."""
    value = data.get(name)
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise EventRejectedError(f"data.{name} must be a printable text of at most {longest} characters")
    return value


def count_of(data: Mapping[str, Any], name: str, highest: int = _MAX_BIGINT) -> int:
    """Return a number of an event's data; raise EventRejectedError when it is none from 0 to *highest*."""
    return _number(data, name, 0, highest, "data.")


def _parse(body: bytes) -> Event:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise EventRejectedError("the body is not valid JSON") from None
    if not isinstance(raw, dict):
        raise EventRejectedError("the body is no JSON object")
    data = raw.get("data")
    if not isinstance(data, dict):
        raise EventRejectedError("data must be an object")
    return Event(
        type=_type(raw),
        tenant=text_of(raw, "tenant"),
        key=_key(raw),
        sequence=_number(raw, "sequence", 1, _MAX_SEQUENCE),
        occurred_ns=_number(raw, "occurred_ns", 0, _MAX_BIGINT),
        actor=_actor(raw),
        data=data,
    )


def _type(raw: Mapping[str, Any]) -> str:
    topic, dot, verb = text_of(raw, "type").partition(".")
    if not (dot and _NAME.fullmatch(topic) and _NAME.fullmatch(verb)):
        raise EventRejectedError("type must be written like 'orders.confirmed'")
    return f"{topic}.{verb}"


def _key(raw: Mapping[str, Any]) -> str:
    key = text_of(raw, "key")
    if not _KEY.fullmatch(key):
        raise EventRejectedError("key must be 1 to 80 letters, digits, - or _")
    return key


def _actor(raw: Mapping[str, Any]) -> Actor:
    actor = raw.get("actor")
    roles = actor.get("roles") if isinstance(actor, dict) else None
    if not isinstance(actor, dict) or not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise EventRejectedError("actor must have a subject and a list of roles")
    return Actor(text_of(actor, "subject"), frozenset(roles))


def _number(raw: Mapping[str, Any], name: str, lowest: int, highest: int, prefix: str = "") -> int:
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise EventRejectedError(f"{prefix}{name} must be an integer from {lowest} to {highest}")
    return value
