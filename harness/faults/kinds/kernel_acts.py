"""Rules in the kernel's packet filter: one table of our own a fault, so that its undo is to delete that table."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.safety.acts import FaultAct

TABLE_PREFIX = "harness_"
_OUR_TABLE = re.compile(r"harness_[a-z0-9_]{1,64}_[0-9a-f]{8}")
_FAMILY = "inet"
_NET_ADMIN = 12  # CAP_NET_ADMIN, capabilities(7)
_LOOK_LIMIT_S = 0.5
_SHORTEST_S = 0.2
_NO_SUCH_TABLE = "No such file or directory"
_SAMPLE_PORT = 9

LOSS_SAMPLE = "numgen random mod 10000 < 1 counter drop"
RATE_SAMPLE = "limit rate over 1000 bytes/second burst 65536 bytes counter drop"


class PacketFilterError(Exception):
    """nft did not do as it was asked."""


@dataclass(frozen=True, slots=True)
class TableMade(FaultAct):
    """A table in the packet filter, under a name of our pattern, that drops packets of one link."""

    what: ClassVar[str] = "table"
    link: str
    table: str

    @property
    def place(self) -> str:
        """The link, in the kernel."""
        return f"{self.link} (kernel table {self.table})"

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Say whether the table has another name than `KernelFault` gives."""
        return "" if _OUR_TABLE.fullmatch(self.table) else f"table {self.table} is not ours"

    def heal(self, deadline_s: float) -> str:
        """Delete the table, and look."""
        if why := self.problem(None):
            return why
        limit_s = max(_SHORTEST_S, deadline_s - time.monotonic())
        try:
            if has_table(self.table, limit_s=limit_s):
                nft(f"delete table {_FAMILY} {self.table}", limit_s=limit_s)
            return f"table {self.table} was deleted and is still there" if has_table(self.table) else ""
        except PacketFilterError as problem:
            return str(problem)

    def is_there(self) -> bool | None:
        """Ask the kernel for the table."""
        try:
            return has_table(self.table)
        except PacketFilterError:
            return None


def rules(table: str, port: int, verdict: str) -> str:
    """Return the ruleset of a table that meets the packets to and from a loopback *port* with *verdict*.

    It hooks into input: a packet that is dropped there was sent, as far as TCP knows, and is lost.
    """
    chain = "type filter hook input priority 0; policy accept;"
    ways = "\n".join(f'iifname "lo" tcp {way} {port} {verdict}' for way in ("dport", "sport"))
    return f"table {_FAMILY} {table} {{\nchain loss {{\n{chain}\n{ways}\n}}\n}}\n"


def has_table(table: str, *, limit_s: float = _LOOK_LIMIT_S) -> bool:
    """Say whether the packet filter holds this table."""
    try:
        nft(f"list table {_FAMILY} {table}", limit_s=limit_s)
    except PacketFilterError as problem:
        if _NO_SUCH_TABLE in str(problem):
            return False
        raise
    return True


def nft(commands: str, *, limit_s: float, options: tuple[str, ...] = ()) -> str:
    """Let nft do *commands*, all or none; return what it prints. PacketFilterError with its own words."""
    program = find_nft()
    if program is None:
        msg = "nft is not installed"
        raise PacketFilterError(msg)
    try:
        done = subprocess.run(
            [program, *options, "-f", "-"], input=commands, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        msg = f"nft: {problem}"
        raise PacketFilterError(msg) from None
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        msg = f"nft: {words}"
        raise PacketFilterError(msg)
    return done.stdout


def find_nft() -> str | None:
    """Return nft, also where the user's PATH leaves the system's folders out."""
    return shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def why_no_loss() -> str:
    """Say why the kernel cannot lose packets here; "" where it can."""
    return why_missing(LOSS_SAMPLE)


def why_no_rate() -> str:
    """Say why the kernel cannot drop what exceeds a rate here; "" where it can."""
    return why_missing(RATE_SAMPLE)


def why_missing(verdict: str) -> str:
    """Say why the kernel cannot meet packets with *verdict* here; "" where it can. Changes nothing."""
    if not _may_administer():
        return "it takes root (the capability CAP_NET_ADMIN) to drop packets in the kernel"
    if find_nft() is None:
        return "nft is not installed (package nftables)"
    try:
        nft(rules(f"{TABLE_PREFIX}probe", _SAMPLE_PORT, verdict), limit_s=2.0, options=("--check",))
    except PacketFilterError as problem:
        return f"this kernel's packet filter cannot do it: {problem}"
    return ""


def _may_administer() -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return False
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _NET_ADMIN & 1)
