"""What the load process is told, as a JSON file."""

from pathlib import Path

from harness.model.base import Spec
from harness.model.run.clock import SteadyClock
from harness.model.run.plan import Plan
from harness.recording.files import PRIVATE_FILE, read_bytes, write_new


class ClockAnchor(Spec):
    """The anchor of the run's SteadyClock, so that both processes read the same times."""

    utc_ns: int
    monotonic_ns: int

    def clock(self) -> SteadyClock:
        """Return the run's clock."""
        return SteadyClock(self.utc_ns, self.monotonic_ns)


class LoadJob(Spec):
    """One load: the plan's arrivals against *base_url*, from *start_ns* (UTC) on, recorded into the folder *run*."""

    plan: Plan
    base_url: str
    service_urls: dict[str, str] = {}
    """Where steps straight to a service go."""
    identities: str | None = None
    """Folder of each {service}'s certificate and key."""
    start_ns: int
    anchor: ClockAnchor
    run: str
    most_in_flight: int = 400
    """Of one tenant. What cannot be started within its flow's timeout is recorded as dropped."""

    @property
    def run_started_ns(self) -> int:
        """Return when the run started: what {run_started} stands for."""
        return self.anchor.utc_ns

    def write(self, path: Path) -> None:
        """Write the job, secrets of tenants included, where the process, and nobody else, will read it."""
        write_new(path, f"{self.model_dump_json(indent=1)}\n".encode(), mode=PRIVATE_FILE)

    @classmethod
    def read(cls, path: Path) -> "LoadJob":
        """Read a job that `write` wrote."""
        return cls.model_validate_json(read_bytes(path))

    @classmethod
    def take(cls, path: Path) -> "LoadJob":
        """Read a job, and delete the file: nobody needs it, and it holds secrets."""
        try:
            return cls.read(path)
        finally:
            path.unlink(missing_ok=True)
