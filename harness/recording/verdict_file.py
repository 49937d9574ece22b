"""verdict.json: a verdict on the disk, read back as it was."""

from pathlib import Path

from pydantic import TypeAdapter

from harness.model.errors import UsageError
from harness.model.result.finding import Verdict
from harness.recording.files import read_bytes
from harness.recording.strict_json import parse
from harness.recording.writer import write_json

_VERDICT = TypeAdapter(Verdict)


def write_verdict(run: Path, verdict: Verdict) -> None:
    """Write verdict.json into the run's folder, whole or not at all."""
    write_json(run / "verdict.json", _VERDICT.dump_python(verdict, mode="json"))


def read_verdict(run: Path) -> Verdict:
    """Read verdict.json; UsageError where there is none, or none that this version can read."""
    path = run / "verdict.json"
    try:
        return _VERDICT.validate_python(parse(read_bytes(path)), strict=False)
    except FileNotFoundError:
        msg = f"{run}: not judged yet (it has no verdict.json)"
        raise UsageError(msg, hint="`harness check` judges a recording") from None
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise UsageError(msg) from None
