"""Who ran where: versions, host, memory of the processes, and the command lines that repeat the run."""

import shlex
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from harness.recording.columns import Table
from harness.recording.reader import Recording
from harness.report.observed import Observed
from harness.report.words import number

_RESIDENT, _CPU = "process_resident_memory_bytes", "process_cpu_seconds_total"


@dataclass(frozen=True, slots=True)
class Process:
    """What one service used."""

    service: str
    resident_mb: float | None  # peak
    cpu_s: float | None  # from the first to the last sample


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the recording comes from."""

    facts: tuple[tuple[str, str], ...]
    processes: tuple[Process, ...]
    commands: tuple[tuple[str, str], ...]


def origin(observed: Observed) -> Origin:
    """Return all of it, as far as the manifest and the metrics tell."""
    return Origin(tuple(_facts(observed).items()), _processes(observed.recording), _commands(observed))


def _facts(observed: Observed) -> dict[str, str]:
    manifest, target = observed.recording.manifest, observed.plan.target
    host = manifest.host
    memory = host.get("memory_bytes")
    sized = f"{number(memory / 2**30)} GiB" if isinstance(memory, int | float) else ""
    cores = f"{host['cores']} cores" if host.get("cores") else ""
    place = (host.get("system"), host.get("machine"), cores, sized, "as root" if host.get("root") else "")
    return {
        "recording": manifest.id,
        "target": f"{target.name}: {', '.join(target.services)}",
        "host": ", ".join(str(part) for part in place if part) or "not recorded",
        "versions": ", ".join(f"{name} {v}" for name, v in manifest.versions.items() if v) or "not recorded",
        "checksums": f"sha256 of {len(manifest.files)} files in run.json" if manifest.files else "none: it did not end",
    }


def _processes(recording: Recording) -> tuple[Process, ...]:
    resident, cpu = _extremes(recording, _RESIDENT), _extremes(recording, _CPU)
    return tuple(
        Process(
            service,
            resident[service][1] / 2**20 if service in resident else None,
            cpu[service][1] - cpu[service][0] if service in cpu else None,
        )
        for service in sorted({*resident, *cpu})
    )


def _extremes(recording: Recording, name: str) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value of a metric by service."""
    samples = recording.arrow(Table.METRICS, ("service", "value"), where=pc.field("name") == name)
    plain = samples.set_column(0, "service", samples["service"].cast(pa.string()))
    grouped = plain.group_by("service").aggregate([("value", "min"), ("value", "max")]).to_pylist()
    return {row["service"]: (row["value_min"], row["value_max"]) for row in grouped}


def _commands(observed: Observed) -> tuple[tuple[str, str], ...]:
    folder = f"runs/{observed.recording.manifest.id}"
    return (
        ("run it again, with the same arrivals and faults", shlex.join(again(observed))),
        ("judge this recording again", shlex.join(["harness", "check", folder])),
        ("draw this report again", shlex.join(["harness", "report", folder])),
        ("look at its data", f"python -c \"import pandas; print(pandas.read_parquet('{folder}/requests'))\""),
    )


def again(observed: Observed) -> list[str]:
    """Return the command line as it was typed, with the seed that was drawn."""
    given = observed.recording.manifest.command[1:] or ["run", observed.plan.name]
    seeded = any(word == "--seed" or word.startswith("--seed=") for word in given)
    return ["harness", *given, *([] if seeded else ["--seed", str(observed.plan.seed)])]
