"""Every page by its file name."""

from collections.abc import Callable, Mapping

from harness.reference.checks import checks_page
from harness.reference.exit_codes import exit_codes_page
from harness.reference.faults import faults_page
from harness.reference.recording import recording_page

PAGES: Mapping[str, Callable[[], str]] = {
    "checks.md": checks_page,
    "faults.md": faults_page,
    "recording.md": recording_page,
    "exit-codes.md": exit_codes_page,
}
