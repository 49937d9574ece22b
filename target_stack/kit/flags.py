"""Feature flags in a service: asked of memory, kept fresh by one long poll, and never forgotten.

Evaluation goes through OpenFeature, so that another provider (flagd's own, say) can take the place of ours.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from prometheus_client import CollectorRegistry, Counter, Gauge

from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.flag_rules import TARGETING_KEY, FlagRuleError, FlagValue, is_sound, resolve
from target_stack.kit.logs import Log
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox

FLAGS_PATH = "/flags"
HOLD_S = 4.0
"""How long the source keeps a question about changes open."""
_PATIENCE_S = HOLD_S + 2.0
_ASK_AGAIN_S = 0.25
_FIRST_ANSWER_S = 1.0
_DOMAIN = "platform"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All definitions at one revision; "" before any is known."""

    revision: str = ""
    definitions: Mapping[str, Any] = field(default_factory=dict)


class FlagMemory:
    """The last known definitions: in memory, and in a file, so that a restarted service has them too."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.snapshot = self._read()

    def keep(self, snapshot: Snapshot) -> None:
        """Remember *snapshot*; readers of the file see the one before or this one, never half of it.

        A definition that makes no sense does not take the place of one that does.
        """
        known = self.snapshot.definitions
        sound = {name: each if is_sound(each) else known.get(name) for name, each in snapshot.definitions.items()}
        definitions = {name: each for name, each in sound.items() if each is not None}
        self.snapshot = snapshot = Snapshot(snapshot.revision, definitions)
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({"revision": snapshot.revision, "flags": dict(snapshot.definitions)}))
        aside.replace(self._path)

    def forget(self) -> None:
        """Know nothing."""
        self.snapshot = Snapshot()

    def _read(self) -> Snapshot:
        try:
            return parse_snapshot((self._path or Path("/dev/null")).read_bytes())
        except (OSError, ValueError):
            return Snapshot()


class FlagProvider(AbstractProvider):
    """OpenFeature's view of the memory."""

    def __init__(self, memory: FlagMemory) -> None:
        super().__init__()
        self._memory = memory

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata("platform-flags")

    def _details(self, name: str, wanted: type, context: EvaluationContext | None) -> FlagResolutionDetails[Any]:
        definition = self._memory.snapshot.definitions.get(name)
        if definition is None:
            raise FlagNotFoundError(name)
        about = {} if context is None else {key: str(value) for key, value in context.attributes.items()}
        if context is not None and context.targeting_key is not None:
            about[TARGETING_KEY] = context.targeting_key
        try:
            found = resolve(name, definition, about)
        except (FlagRuleError, KeyError, TypeError, ValueError) as error:
            raise GeneralError(f"flag {name} has no sense: {error}") from None
        if found is None:
            raise FlagNotFoundError(f"{name} is disabled")
        if not isinstance(found.value, wanted):
            raise GeneralError(f"flag {name} holds {found.value!r}, no {wanted.__name__}")
        return FlagResolutionDetails(found.value, reason=Reason(found.reason.upper()), variant=found.variant)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: ARG002 - OpenFeature falls back by itself
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Return a flag that is on or off."""
        return self._details(flag_key, bool, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,  # noqa: ARG002 - OpenFeature falls back by itself
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return a flag that names something."""
        return self._details(flag_key, str, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,  # noqa: ARG002 - OpenFeature falls back by itself
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Return a flag that counts."""
        return self._details(flag_key, int, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,  # noqa: ARG002 - OpenFeature falls back by itself
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Return a flag that measures."""
        return self._details(flag_key, float, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Any,  # noqa: ARG002 - OpenFeature falls back by itself
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        """Return a flag that is an object."""
        return self._details(flag_key, dict, evaluation_context)


class FlagMetrics:
    """What a service knows of its flags."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge("resilience_flags_connected", "1 while the source of flags answers", registry=registry)
        self.known = Gauge("resilience_flags_known", "Flags that have a value", registry=registry)
        self.changes = Counter("resilience_flags_changes", "Revisions seen", registry=registry)
        self.fallbacks = Counter(
            "resilience_flags_fallbacks", "Answers from the default in the code", ["flag"], registry=registry
        )


class Flags:
    """The flags of a service; `start` first, then ask as often as you like."""

    def __init__(
        self, source: ServiceClient | None, memory: FlagMemory, *, metrics: FlagMetrics, log: Log, remembers: bool
    ) -> None:
        self._source = source
        self._memory = memory
        self._metrics = metrics
        self._log = log
        self._remembers = remembers
        self._following: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        api.set_provider_and_wait(FlagProvider(memory), _DOMAIN)
        self._client = api.get_client(_DOMAIN)
        metrics.known.set_function(lambda: len(memory.snapshot.definitions))

    def is_on(self, flag: str, *, default: bool, tenant: str = "", key: str | None = None) -> bool:
        """Tell whether *flag* is on for *tenant*, and for *key* among the share of callers it may be on for."""
        found = self._client.get_boolean_details(flag, default, _context(tenant, key))
        self._note(flag, found.reason)
        return found.value

    def text(self, flag: str, *, default: str, tenant: str = "", key: str | None = None) -> str:
        """Return what *flag* says for *tenant*; *default* where nothing is known of it."""
        found = self._client.get_string_details(flag, default, _context(tenant, key))
        self._note(flag, found.reason)
        return found.value

    async def start(self) -> None:
        """Follow the source; return with its first answer, or without it when that takes longer than a second."""
        if self._source is None or self._following is not None:
            return
        self._following = asyncio.create_task(self._follow(self._source), name="follow flags")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), _FIRST_ANSWER_S)

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, source: ServiceClient) -> None:
        while True:
            known = self._memory.snapshot.revision
            asked_s = time.monotonic()
            try:
                self._learn(await _ask(source, known))
                if self._memory.snapshot.revision == known and time.monotonic() - asked_s < _ASK_AGAIN_S:
                    await asyncio.sleep(_ASK_AGAIN_S)  # a source that does not hold the question must not be hammered
            except (LinkError, ValueError) as error:
                self._lost(error)
                await asyncio.sleep(_ASK_AGAIN_S)

    def _learn(self, snapshot: Snapshot) -> None:
        self._metrics.connected.set(1)
        if snapshot.revision != self._memory.snapshot.revision:
            self._metrics.changes.inc()
            self._memory.keep(snapshot)
        self._first.set()

    def _lost(self, error: Exception) -> None:
        if self._metrics.connected._value.get():
            self._log.warning("the source of flags is away: the last known values stay", error=str(error))
        self._metrics.connected.set(0)
        if not self._remembers:
            self._memory.forget()

    def _note(self, flag: str, reason: Reason | str | None) -> None:
        fallbacks = self._metrics.fallbacks.labels(flag)  # there from the first question on, with 0
        if reason in (Reason.DEFAULT, Reason.ERROR):
            fallbacks.inc()


def flags_of_platform(toolbox: Toolbox) -> Flags:
    """Return the flags that the service at FLAGS_URL holds; without one, or before any answer, defaults count.

    With FLAG_MEMORY, a file, the last known values outlive this process.
    """
    environment = toolbox.settings.environment
    url, file = environment.get("FLAGS_URL"), environment.get("FLAG_MEMORY")
    remembers = toolbox.is_on(Protection.FLAG_MEMORY)
    path = Path(file) if file and remembers else None
    source = toolbox.client("flags", url, LinkPlan(attempt_timeout_s=_PATIENCE_S)) if url else None
    metrics = FlagMetrics(toolbox.metrics.registry)
    return Flags(source, FlagMemory(path), metrics=metrics, log=toolbox.log, remembers=remembers)


def parse_snapshot(raw: bytes) -> Snapshot:
    """Read flagd's document with its revision; raise ValueError when it is none, or one without a single flag.

    A source that has lost its flags is not one that has none: nobody would run it.
    """
    document = _parsed(raw)
    flags, revision = (document.get("flags"), document.get("revision")) if isinstance(document, dict) else (None, None)
    if not isinstance(flags, dict) or not isinstance(revision, str | int) or revision == "":
        msg = "the flags are no flagd document with a revision"
        raise ValueError(msg)
    if not any(is_sound(each) for each in flags.values()):
        msg = "the document holds no flag that makes sense"
        raise ValueError(msg)
    return Snapshot(str(revision), flags)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def flag_body(value: FlagValue, tenant: str | None = None) -> bytes:
    """Return the body that sets a flag."""
    return json.dumps({"value": value, **({"tenant": tenant} if tenant else {})}).encode()


async def _ask(source: ServiceClient, revision: str) -> Snapshot:
    path = f"{FLAGS_PATH}?since={revision}" if revision else FLAGS_PATH
    answer = await source.call(Call("GET", path, FLAGS_PATH, idempotent=True))
    if answer.status != 200:
        msg = f"the source of flags answers {answer.status}"
        raise ValueError(msg)
    return parse_snapshot(answer.body)


def _context(tenant: str, key: str | None) -> EvaluationContext:
    return EvaluationContext(key if key is not None else tenant, {"tenant": tenant})
