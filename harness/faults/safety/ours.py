"""What the harness itself can have made: an undo touches nothing else, whatever a journal says.

Every function returns why something is not ours, "" where it can be.
"""

import ipaddress
import json
import math
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from harness.faults.safety.marked import Identity

NAME = "tenant-resilience-harness"
"""Of the folder for this user's state."""
FOLDER_PREFIX = "harness-"
_HIGHEST_PID = 2**31 - 1
_TEMPORARY = ("/dev/shm", "/tmp", "/var/tmp")


def folder_problem(path: str, run: Path | None = None) -> str:
    """Look at a folder that is about to be removed, and below the run's folder or a temporary one."""
    folder = Path(path)
    if not folder.name.startswith(FOLDER_PREFIX):
        return f"{path} is not ours: its name does not start with {FOLDER_PREFIX!r}"
    return _place_problem(folder, run)


def record_problem(path: str, run_id: str) -> str:
    """Look at the file by which `recover` finds a run, and which is removed after it."""
    record = Path(path)
    if not path:
        return ""
    if record.suffix != ".json":
        return f"{path} is not ours: it is no registration of a run"
    if why := _place_problem(record, None):
        return why
    try:
        held = json.loads(record.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError):
        return f"{path} is not ours: it cannot be read as the registration of a run"
    if not isinstance(held, dict) or held.get("run_id", run_id) != run_id:
        return f"{path} is not ours: it is not the registration of {run_id}"
    return ""


def _place_problem(path: Path, run: Path | None) -> str:
    if not path.is_absolute() or ".." in path.parts:
        return f"{path} is not ours: it is not an absolute path"
    bases = [base for base in (*_own_folders(), *([run] if run else [])) if path.is_relative_to(base) and path != base]
    if not bases:
        return f"{path} is not ours: it is in no folder of the run, of its state, or for temporary files"
    for base in bases:
        if os.path.realpath(path) == str(Path(os.path.realpath(base)) / path.relative_to(base)):
            return ""
    return f"{path} is not ours: the path goes through a symbolic link"


def _own_folders() -> list[Path]:
    state = os.environ.get("XDG_STATE_HOME") or Path(os.environ.get("HOME", "/nonexistent")) / ".local" / "state"
    return [Path(state) / NAME, *map(Path, (tempfile.gettempdir(), *_TEMPORARY))]


def identities_problem(processes: str) -> str:
    """Look at processes as pid:created, separated by spaces; at least one."""
    words = processes.split()
    for word in words:
        identity = Identity.parse(word)
        if identity is None or process_problem(identity.pid, identity.created_s):
            return f"{word!r} does not name a process"
    return "" if words else "no process is named"


def process_problem(pid: int, created_s: float) -> str:
    """Look at the numbers that name a process; 0, 1 and negative ones would reach others."""
    if not 1 < pid <= _HIGHEST_PID or not math.isfinite(created_s):
        return f"{pid}:{created_s} does not name a process"
    return ""


def address_problem(address: str) -> str:
    """Look at host:port; only this machine is ours."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not port.isascii() or not 0 < int(port[:6]) < 2**16 or len(port) > 5:
        return f"{address!r} is not ours: it is not host:port"
    return "" if _is_loopback(host.strip("[]")) else f"{address!r} is not ours: it is not on this machine's loopback"


def url_problem(url: str, *schemes: str) -> str:
    """Look at a URL whose host must be this machine's loopback."""
    try:
        parts = urlsplit(url)
        ours = parts.scheme in schemes and _is_loopback(parts.hostname or "") and (parts.port or 1) > 0
    except ValueError:
        ours = False
    if not ours or _says_another_host(parts) or re.search(r"[\x00-\x20\\]", url):
        shown = re.sub(r"//[^/@]*@", "//…@", url)
        return f"{shown!r} is not ours: it is no {' or '.join(schemes)} URL on this machine's loopback"
    return ""


def _says_another_host(parts: SplitResult) -> bool:
    """Database drivers also take several hosts, and a host from the query."""
    return "," in parts.netloc or any(
        name.startswith(("host", "port", "service")) for name, _ in parse_qsl(parts.query)
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
