"""Messages that were published into a stream of the broker."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.safety.acts import FaultAct
from harness.faults.safety.ours import address_problem

_SHORTEST_S = 0.3
_LOOK_LIMIT_S = 0.5
_AWAY_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class MessagesPublished(FaultAct):
    """Messages behind number *after* of *stream* that carry *mark*; what was made of them elsewhere is not ours."""

    what: ClassVar[str] = "messages"
    service: str
    address: str
    stream: str
    subject: str
    mark: str
    after: int

    @property
    def place(self) -> str:
        """Broker and subject."""
        return f"{self.service}, subject {self.subject}"

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the broker's address."""
        return address_problem(self.address)

    def heal(self, deadline_s: float) -> str:
        """Delete what is still in the stream, and look: then nobody gets it again.

        A broker that is away is waited for, since its streams may outlive it; one that stays away delivers nothing.
        """
        limit_s = max(_SHORTEST_S, deadline_s - time.monotonic())
        import asyncio  # the reaper must start quickly, and rarely needs it

        from harness.faults.kinds.broker_calls import BrokerCallError

        try:
            left = asyncio.run(asyncio.wait_for(self._remove_once_back(time.monotonic() + limit_s), limit_s))
        except ConnectionRefusedError:
            return ""
        except (OSError, TimeoutError, BrokerCallError) as problem:
            return str(problem) or f"{self.service} does not answer within {limit_s:.1f}s"
        return f"{left} of the messages are still in stream {self.stream}" if left else ""

    def is_there(self) -> bool | None:
        """Say whether the stream still holds one of them."""
        import asyncio

        from harness.faults.kinds.broker_calls import BrokerCallError

        try:
            return asyncio.run(asyncio.wait_for(self._count(), _LOOK_LIMIT_S)) > 0
        except (OSError, TimeoutError, BrokerCallError):
            return None

    async def _remove_once_back(self, deadline_s: float) -> int:
        import asyncio

        while True:
            try:
                return await self._remove()
            except ConnectionRefusedError:
                if time.monotonic() > deadline_s - _AWAY_PAUSE_S * 2:
                    raise
                await asyncio.sleep(_AWAY_PAUSE_S)

    async def _remove(self) -> int:
        from harness.faults.kinds.broker_calls import jetstream, marked_messages

        where = {"subject": self.subject, "mark": self.mark}
        async with jetstream(self.address) as stream:
            for message in await marked_messages(stream, self.stream, after=self.after, **where):
                await stream.delete_msg(self.stream, message.sequence)
            return len(await marked_messages(stream, self.stream, after=self.after, **where))

    async def _count(self) -> int:
        from harness.faults.kinds.broker_calls import jetstream, marked_messages

        async with jetstream(self.address) as stream:
            found = await marked_messages(stream, self.stream, subject=self.subject, after=self.after, mark=self.mark)
            return len(found)
