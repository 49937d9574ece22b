"""After the load: every ledger that it wrote to is read back for every tenant that did."""

from collections.abc import Callable

import gevent

from harness.load.channel import Channel
from harness.load.job import LoadJob
from harness.load.ledger_read import LedgerRead, LedgerReader, ledger_values
from harness.load.placeholders import attributes_of, fill
from harness.load.player import Send
from harness.load.recorder import Recorder
from harness.load.tokens import Tokens
from harness.model.files.target import Ledger
from harness.model.run.events import Kind
from harness.model.run.plan import Plan

_POLL_S = 0.5


def ledgers_in_use(plan: Plan) -> list[tuple[str, str]]:
    """Return (ledger, tenant): what the load writes to, and what is made of that where a check asks for it."""
    flows = plan.target.flows
    written = {
        (step.ledger.name, tenant)
        for tenant, load in plan.scenario.load.items()
        for flow in load
        for step in flows[flow].steps
        if step.ledger
    }
    asked = {entry.integrity.ledger for entry in plan.scenario.checks if entry.integrity}
    derived = {
        (name, tenant)
        for name, ledger in plan.target.ledgers.items()
        for source, tenant in written
        if name in asked and ledger.of == source
    }
    return sorted(written | derived)


class ReadBack:
    """Reads the ledgers at the same time; each ends with an event, also one that is cut short."""

    def __init__(self, job: LoadJob, *, tokens: Tokens, recorder: Recorder, say: Channel) -> None:
        self._job = job
        self._target = job.plan.target
        self._tokens = tokens
        self._recorder = recorder
        self._say = say

    def start(self, session_of: Callable[[str], Send]) -> list[gevent.Greenlet]:
        """Start reading; kill what is returned to cut it short."""
        return [
            gevent.spawn(self._read, name, tenant, session_of(tenant))
            for name, tenant in ledgers_in_use(self._job.plan)
        ]

    def start_before(self, session_of: Callable[[str], Send]) -> list[gevent.Greenlet]:
        """Start reading what is there before the run; only of ledgers whose path does not ask for this run alone."""
        return [
            gevent.spawn(self._read_before, name, tenant, session_of(tenant))
            for name, tenant in ledgers_in_use(self._job.plan)
            if "{run_started}" not in self._target.ledgers[name].path
        ]

    def _read_before(self, name: str, tenant: str, send: Send) -> None:
        found = self._reading(name, tenant, send)()
        for key, named in found.entries:
            self._recorder.read(name, tenant, key, named, before=True)
        if found.cause:
            self._say.event(Kind.TELEMETRY_LOST, what=f"ledger {name} of {tenant} before the run", count=1)

    def _reading(self, name: str, tenant: str, send: Send) -> Callable[[], LedgerRead]:
        ledger = self._target.ledgers[name]
        attributes = attributes_of(self._target.tenants[tenant])
        values = ledger_values(tenant, attributes, self._job.run_started_ns, self._tokens.of(tenant))
        header = self._target.token.header if self._target.token else {}
        headers = {field: fill(text, values("")) for field, text in header.items()}
        return lambda: LedgerReader(send, gevent.sleep).read(ledger, values=values, headers=headers)

    def _read(self, name: str, tenant: str, send: Send) -> None:
        ledger = self._target.ledgers[name]
        keys, cause = 0, "cut short"
        try:
            read = self._read_patiently(
                ledger,
                self._reading(name, tenant, send),
                self._recorder.acknowledged.get((ledger.of or name, tenant), set()),
            )
            for key, named in read.entries:
                self._recorder.read(name, tenant, key, named)
            keys, cause = len(read.entries), read.cause or ""
        finally:
            self._say.event(
                Kind.LEDGER_READ, ledger=name, tenant=tenant, keys=keys, complete=not cause, cause=cause or None
            )

    def _read_patiently(self, ledger: Ledger, read: Callable[[], LedgerRead], acknowledged: set[str]) -> LedgerRead:
        """Read again while an acknowledged write is missing that may still be on its way; no longer than promised."""
        patience_s = ledger.within
        while True:
            found = read()
            missing = acknowledged - {key for key, _ in found.entries}
            if not missing or patience_s <= 0:
                return found
            gevent.sleep(_POLL_S)
            patience_s -= _POLL_S
