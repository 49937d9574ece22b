"""The processes of a standing stack as a run sees them: none of them is its child."""

import asyncio
import threading
from collections.abc import Mapping

from harness.drivers.guard import Emit
from harness.drivers.standing.stack import StandingStack, read_stack
from harness.model.errors import TargetError, UsageError
from harness.model.run.clock import Clock
from harness.model.run.events import Event, Kind
from harness.units.identity import Identity

_EVERY_S = 0.3


class Leaders:
    """Looks three times a second whether the stack and the leader of each service are still there.

    A service that is started again has another pid; its holder writes that into the stack's file.
    """

    def __init__(self, stack: StandingStack, *, emit: Emit, clock: Clock) -> None:
        self._stack = stack
        self._emit = emit
        self._clock = clock
        self._holder = Identity.parse(stack.holder)
        self._identities: dict[str, Identity] = {}
        self._expected: set[int] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crash: asyncio.Future[TargetError] | None = None
        self._task: asyncio.Task[None] | None = None
        self._take(stack)

    @property
    def pids(self) -> Mapping[str, int]:
        """Leaders that were there at the last look."""
        return {name: identity.pid for name, identity in dict(self._identities).items()}

    def supervisors(self) -> Mapping[str, int]:
        """Return those of services that have a supervisor."""
        services = self._stack.target.services
        return {name: pid for name, pid in self.pids.items() if name in services and services[name].supervised}

    def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.get_running_loop()
        self._crash = self._loop.create_future()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking. Safe to call twice, and without `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def first_crash(self) -> TargetError:
        """Return when a leader ends that was not expected to, or the holder of the stack."""
        assert self._crash is not None
        return await asyncio.shield(self._crash)

    def expect(self, service: str) -> None:
        """The leader of this service is about to be killed. From any thread."""
        if (identity := self._identities.get(service)) is not None:
            self._expected.add(identity.pid)

    def look_again(self) -> None:
        """Read the stack's file again: a service may have been started anew. From any thread."""
        try:
            self._take(read_stack(self._stack.path))
        except UsageError:
            return  # the stack is ending; the next look at its holder says so

    def _take(self, stack: StandingStack) -> None:
        found = {name: identity for name, pid in stack.pids.items() if (identity := Identity.of(pid))}
        with self._lock:
            for name in sorted(found.keys() & self._identities.keys()):
                if found[name].pid != self._identities[name].pid:
                    self._ended(name)
            for name in sorted(found.keys() - self._identities.keys()):
                self._identities[name] = found[name]
                if self._task is not None:
                    self._tell(Kind.PROCESS_STARTED, name, found[name].pid)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            if self._holder is None or self._holder.process() is None:
                return self._crashed(TargetError(f"the stack {self._stack.run_id} is no longer up"))
            with self._lock:
                for name, identity in list(self._identities.items()):
                    if identity.process() is None:
                        self._ended(name)

    def _ended(self, name: str) -> None:
        pid = self._identities.pop(name).pid
        expected = pid in self._expected
        self._expected.discard(pid)
        self._tell(Kind.PROCESS_EXITED, name, pid, code=None, expected=expected)
        if not expected:
            hint = f"its log is {self._stack.path / 'logs-raw' / f'{name}.log'}"
            self._crashed(TargetError(f"{name} ended during the run", hint=hint))

    def _crashed(self, error: TargetError) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._set_crash, error)

    def _set_crash(self, error: TargetError) -> None:
        if self._crash is not None and not self._crash.done():
            self._crash.set_result(error)

    def _tell(self, kind: Kind, service: str, pid: int, **fields: bool | None) -> None:
        self._emit(Event(self._clock.now_ns(), kind, {"service": service, "pid": pid, **fields}))
