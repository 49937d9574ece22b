"""The authority as a service: it writes identities, renews them at half of their life, and offers no route at all."""

import asyncio
from pathlib import Path

from target_stack.kit.app import Service
from target_stack.kit.toolbox import Toolbox
from target_stack.services.authority.rogues import rogue_identities
from target_stack.services.authority.store import IdentityFolder, open_authority

LIFETIME_S = 600.0


def build(toolbox: Toolbox) -> Service:
    """Write the first identities at once, for every service waits; MEMBERS lists who gets one.

    Identities go to AUTHORITY_ISSUES, the authority's own key to AUTHORITY_KEEPS; CERTIFICATE_LIFETIME_S is how long
    a certificate is good for.
    """
    settings = toolbox.settings
    members = settings.required("MEMBERS").replace(",", " ").split()
    lifetime_s = float(settings.environment.get("CERTIFICATE_LIFETIME_S", LIFETIME_S))
    folder = IdentityFolder(Path(settings.required("AUTHORITY_ISSUES")))
    authority = open_authority(Path(settings.required("AUTHORITY_KEEPS")), toolbox.clock)

    def issue_all() -> None:
        for member in members:
            folder.write(member, authority.issue(member, lifetime_s))

    async def renew() -> None:
        while True:
            await asyncio.sleep(lifetime_s / 2)
            issue_all()

    issue_all()
    if settings.environment.get("ROGUES") == "on":
        for name, rogue in rogue_identities(authority, toolbox.clock):
            folder.write(name, rogue)
    renewing: list[asyncio.Task[None]] = []

    async def prepare() -> None:
        renewing.append(asyncio.create_task(renew(), name="renew identities"))

    async def close() -> None:
        for task in renewing:
            task.cancel()

    return Service((), prepare, close)
