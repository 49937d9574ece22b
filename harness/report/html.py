"""The HTML report: one file without a single request to anywhere, readable without JavaScript."""

import base64
import gzip
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from harness.model.result.finding import Verdict
from harness.recording.files import replace_with
from harness.recording.reader import Recording
from harness.report import templates
from harness.report.observed import observe
from harness.report.page import build


def write_report(run: Path, recording: Recording, verdict: Verdict) -> Path:
    """Write report.html into the run's folder and return its path.

    Raises:
        OSError: the disk is full or the folder is gone; no half-written report is left.
    """
    path = run / "report.html"
    replace_with(path, render(recording, verdict).encode("utf-8", "replace"))
    return path


def render(recording: Recording, verdict: Verdict) -> str:
    """Return the page. It shows what there is of a recording and says what is missing; nothing is judged here."""
    page = build(observe(recording), verdict)
    template = templates.environment().get_template("report.html.j2")
    filled = template.render(
        page=page,
        style=Markup(templates.read("report.css")),
        script=Markup(templates.read("report.js")),
        data=Markup(page.data),
        library=Markup(_library()) if page.data != "null" else "",
    )
    return f"{filled}\n"


@lru_cache(maxsize=1)
def _library() -> str:
    """Return plotly.js as it came with the Python package: compressed, 4.8 MB become 2."""
    script = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 9, mtime=0)).decode("ascii")
