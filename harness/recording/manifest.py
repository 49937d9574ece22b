"""run.json: what was run, where, with what, and how it ended.

What lies on the disk is a document of a format of its own (see `migrations`); here it becomes a manifest and back.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from harness.model.base import Spec
from harness.model.errors import DamagedRecordingError, HarnessError, UsageError
from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.plan import Plan
from harness.recording.files import read_bytes
from harness.recording.migrations import FORMAT, Document, UnknownFormatError, migrate
from harness.recording.seal import DERIVED, hash_files
from harness.recording.secrets import without_secrets
from harness.recording.strict_json import parse
from harness.recording.tolerant import read_stored
from harness.recording.writer import write_json

__all__ = ["DERIVED", "FORMAT", "Manifest", "PhaseWindow", "Stored", "hash_files", "read_manifest", "write_manifest"]

_DIGEST = "digest"
Nanoseconds = Annotated[int, Field(ge=0, lt=2**63, strict=True)]


class PhaseWindow(Spec):
    """One phase as it was planned on the run's clock, UTC ns."""

    phase: Phase
    start_ns: Nanoseconds
    end_ns: Nanoseconds

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "PhaseWindow":
        if self.end_ns < self.start_ns:
            msg = f"{self.phase.value} ends before it starts"
            raise ValueError(msg)
        return self


class Manifest(Spec):
    """The recording's own description."""

    format: int = FORMAT
    id: str
    plan: Plan
    command: list[str]
    started_ns: Nanoseconds
    ended_ns: Nanoseconds | None = None
    how: How | None = Field(default=None, description="null: the harness was killed while it ran")
    cause: str | None = None
    windows: list[PhaseWindow] = []  # empty until the load starts
    versions: dict[str, str] = {}
    host: dict[str, Any] = {}
    files: dict[str, str] = Field(default={}, description="sha256 of every other file, when the run ended")


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest as it was read: what was left out of it, and whether it is as it was written."""

    manifest: Manifest
    unknown_keys: tuple[str, ...]
    is_intact: bool  # also where it carries no digest


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Write run.json, whole or not at all; secrets are left out, and once files are hashed it is hashed itself."""
    document = _printable(without_secrets(manifest.model_dump(mode="json")))
    if manifest.files:
        document[_DIGEST] = digest_of(document)
    write_json(run / "run.json", document)


def read_manifest(run: Path) -> Manifest:
    """Return the manifest of a recording; raises as `read_stored_manifest` does."""
    return read_stored_manifest(run).manifest


def read_stored_manifest(run: Path) -> Stored:
    """Read run.json.

    Raises:
        UsageError: *run* is no recording.
        DamagedRecordingError: its run.json is not what a harness wrote.
        HarnessError: its format is not one that this version reads.
    """
    path = run / "run.json"
    try:
        raw = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        msg = f"{run}: not a recording (it has no run.json)"
        raise UsageError(msg, hint="`harness check` and `harness report` take a folder below runs/") from None
    except OSError as error:
        raise DamagedRecordingError(path, error.strerror or str(error)) from None
    try:
        return _understood(parse(raw))
    except UnknownFormatError as error:
        msg = f"{path}: {error}"
        raise HarnessError(msg) from None
    except ValueError as error:
        raise DamagedRecordingError(path, str(error)) from None


def _understood(document: object) -> Stored:
    if not isinstance(document, dict):
        msg = f"it holds a {type(document).__name__}, not an object"
        raise ValueError(msg)  # noqa: TRY004  told with the file's name by the caller
    digest = document.get(_DIGEST)
    is_intact = digest is None or digest == digest_of(document)
    present = {key: value for key, value in migrate(document).items() if key != _DIGEST}
    manifest, unknown_keys = read_stored(Manifest, present)
    return Stored(manifest, unknown_keys, is_intact)


def _printable(document: Document) -> Document:
    """Return *document* without what UTF-8 cannot hold: bytes of a command line that are no text."""
    printable: Document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    return printable


def digest_of(document: Document) -> str:
    """Return the sha256 of all that a document says, except its own digest; layout and order do not count."""
    said = {key: value for key, value in document.items() if key != _DIGEST}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
