"""`stack.json`: what another command must know to use a standing stack. It lies in the stack's folder, for its user."""

import os
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from harness.drivers.addresses import Addresses
from harness.model.base import Spec
from harness.model.errors import UsageError
from harness.model.files.target import Target

FILE = "stack.json"


class StandingStack(Spec):
    """A stack that is up."""

    version: Literal[1] = 1
    run_id: str
    folder: str
    holder: str  # identity of the process that holds it
    target: Target
    without: list[str]
    ports: dict[str, int]
    links: dict[str, str]
    host: str
    proxy_api: str
    identities: str | None
    control: str  # path of the socket at which the holder takes wishes
    otlp: str  # where its services send traces
    otlp_port: int  # the port of that at `host`, when it is kept for runs; 0 when somebody else receives them
    pids: dict[str, int]

    @property
    def path(self) -> Path:
        """The stack's folder."""
        return Path(self.folder)

    @property
    def addresses(self) -> Addresses:
        """Where everything listens."""
        return Addresses(self.target, self.host, dict(self.ports), dict(self.links), self.proxy_api)

    def write(self) -> None:
        """Write the file, whole or not at all, for this user's eyes."""
        aside = self.path / f".{FILE}.partial"
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1) + "\n")
        aside.rename(self.path / FILE)


def read_stack(folder: Path) -> StandingStack:
    """Read the file in *folder*.

    Raises:
        UsageError: no stack stands there, or one of another version.
    """
    try:
        return StandingStack.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except OSError as problem:
        msg = f"{folder}: no stack stands there: {problem.strerror or problem}"
        raise UsageError(msg, hint="`harness up` starts one; it prints its name") from None
    except ValidationError:
        msg = f"{folder / FILE}: written by another version of the harness"
        raise UsageError(msg, hint="`harness down`, then `harness up` again") from None
