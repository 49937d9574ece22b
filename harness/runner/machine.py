"""What was measured of this machine by `harness calibrate`: kept below the user's state folder, one file a machine."""

import hashlib
import platform
from pathlib import Path

import psutil
from pydantic import ValidationError

from harness.faults.safety.registry import state_folder
from harness.model.base import Spec
from harness.model.run.calibration import Calibration
from harness.recording.writer import write_json


class _Kept(Spec):
    machine: str
    calibrations: dict[str, Calibration] = {}  # target -> figures


def describe_machine() -> str:
    """Return what makes figures of one machine useless on another: processor, cores, kernel."""
    return f"{_processor()}, {psutil.cpu_count() or 1} cores, {platform.system()} {platform.release()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or platform.machine())


def calibration_file() -> Path:
    """Return where the figures of this machine lie."""
    name = hashlib.sha256(describe_machine().encode()).hexdigest()[:16]
    return state_folder() / "calibration" / f"{name}.json"


def keep(calibration: Calibration) -> Path:
    """Write the figures of one target down, instead of older ones; return the file."""
    path = calibration_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = _read(path)
    whole = _Kept(machine=describe_machine(), calibrations={**kept, calibration.target: calibration})
    write_json(path, whole.model_dump(mode="json"))
    return path


def known_calibration(target: str) -> Calibration | None:
    """Return the figures of this machine under the load of *target*; None where there are none that can be read."""
    try:
        return _read(calibration_file()).get(target)
    except OSError:  # there is no folder for it
        return None


def _read(path: Path) -> dict[str, Calibration]:
    try:
        return _Kept.model_validate_json(path.read_bytes()).calibrations
    except (OSError, ValidationError):
        return {}
