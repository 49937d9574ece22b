"""After the load: every ledger that it wrote to is read back for every tenant that did."""

from collections.abc import Callable

import gevent

from harness.load.channel import Channel
from harness.load.job import LoadJob
from harness.load.ledger_read import LedgerReader, ledger_values
from harness.load.placeholders import attributes_of, fill
from harness.load.player import Send
from harness.load.recorder import Recorder
from harness.load.tokens import Tokens
from harness.model.events import Kind
from harness.model.plan import Plan


def ledgers_in_use(plan: Plan) -> list[tuple[str, str]]:
    """Return (ledger, tenant) for every ledger that the plan's load writes to."""
    flows = plan.target.flows
    return sorted(
        {
            (step.ledger.name, tenant)
            for tenant, load in plan.scenario.load.items()
            for flow in load
            for step in flows[flow].steps
            if step.ledger
        }
    )


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

    def _read(self, name: str, tenant: str, send: Send) -> None:
        ledger = self._target.ledgers[name]
        attributes = attributes_of(self._target.tenants[tenant])
        values = ledger_values(tenant, attributes, self._job.run_started_ns, self._tokens.of(tenant))
        header = self._target.token.header if self._target.token else {}
        headers = {field: fill(text, values("")) for field, text in header.items()}
        keys, cause = 0, "cut short"
        try:
            read = LedgerReader(send, gevent.sleep).read(ledger, values=values, headers=headers)
            for key, named in read.entries:
                self._recorder.read(name, tenant, key, named)
            keys, cause = len(read.entries), read.cause or ""
        finally:
            self._say.event(
                Kind.LEDGER_READ, ledger=name, tenant=tenant, keys=keys, complete=not cause, cause=cause or None
            )
