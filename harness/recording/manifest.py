"""run.json: what was run, where, with what, and how it ended."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from harness.model.base import Spec
from harness.model.errors import UsageError
from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.plan import Plan
from harness.recording.writer import write_json

FORMAT = 1
DERIVED = ("run.json", "verdict.json", "report.html", "summary.md", "junit.xml")


class PhaseWindow(Spec):
    """One phase as it was planned on the run's clock, UTC ns."""

    phase: Phase
    start_ns: int
    end_ns: int


class Manifest(Spec):
    """The recording's own description."""

    format: int = FORMAT
    id: str
    plan: Plan
    command: list[str]
    started_ns: int
    ended_ns: int | None = None
    how: How | None = Field(default=None, description="null: the harness was killed while it ran")
    cause: str | None = None
    windows: list[PhaseWindow] = []  # empty until the load starts
    versions: dict[str, str] = {}
    host: dict[str, Any] = {}
    files: dict[str, str] = Field(default={}, description="sha256 of every other file, when the run ended")


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Write run.json, whole or not at all."""
    write_json(run / "run.json", manifest.model_dump(mode="json"))


def read_manifest(run: Path) -> Manifest:
    """Read run.json; UsageError where *run* is no recording that this version can read."""
    path = run / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{run}: not a recording (it has no run.json)"
        raise UsageError(msg, hint="`harness check` and `harness report` take a folder below runs/") from None
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise UsageError(msg) from None
    if content.get("format") != FORMAT:
        msg = f"{path}: format {content.get('format')!r}, this version reads {FORMAT}"
        raise UsageError(msg)
    return Manifest.model_validate(content)


def hash_files(run: Path) -> dict[str, str]:
    """Return the sha256 of every file of the recording that is not derived from others."""
    files = (p for p in sorted(run.rglob("*")) if p.is_file() and p.name not in DERIVED)
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
