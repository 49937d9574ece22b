"""Who this process is to others: certificate and key from the platform's authority, renewed while it runs.

Both contexts live as long as the process. A renewed identity is loaded into them, so that connections which are open go
on and the next one shows the new certificate.
"""

import asyncio
import ssl
from pathlib import Path

from target_stack.kit.logs import Log

_START_RETRY_S = 0.05
_FOLLOW_EVERY_S = 0.5


class Identity:
    """The folder holds `cert.pem`, `key.pem` and `ca.pem`, and may be a link that the authority moves."""

    def __init__(self, folder: Path, *, asks_callers: bool = True) -> None:
        self._folder = folder
        self._loaded: Path | None = None
        self.asks_callers = asks_callers
        self.server = _context(ssl.PROTOCOL_TLS_SERVER)
        self.server.verify_mode = ssl.CERT_REQUIRED if asks_callers else ssl.CERT_NONE
        self.server.num_tickets = 0  # a resumed session would outlive the certificate that opened it
        self.client = _context(ssl.PROTOCOL_TLS_CLIENT)

    async def wait(self) -> None:
        """Load the identity as soon as there is one: all services start at the same time as the authority."""
        while not self.refresh():  # noqa: ASYNC110 - the authority is another process
            await asyncio.sleep(_START_RETRY_S)

    def refresh(self) -> bool:
        """Load what is new in the folder; False while there is nothing to load.

        Raises:
            ssl.SSLError: what lies there is no identity; the one that was loaded before may be half replaced.
        """
        try:
            version = self._folder.resolve(strict=True)  # once: all three files must be of the same version
            if version != self._loaded:
                for context in (self.server, self.client):
                    context.load_verify_locations(version / "ca.pem")
                    context.load_cert_chain(version / "cert.pem", version / "key.pem")
                self._loaded = version
        except FileNotFoundError:
            return False
        return True

    async def follow(self, log: Log) -> None:
        """Load each renewed identity, for ever; one that cannot be loaded is a warning, and tried again."""
        while True:
            await asyncio.sleep(_FOLLOW_EVERY_S)
            try:
                self.refresh()
            except (ssl.SSLError, OSError) as error:
                log.warning("the renewed identity cannot be loaded", error=str(error))


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
