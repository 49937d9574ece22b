"""The page in a real browser: the charts that zoom are what was asked for, and nothing is asked of the network."""

import re
import shutil
import subprocess

import pytest

from harness.report.html import write_report
from tests.report import verdicts
from tests.report.demo import Demo, demo_plan

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
HANG_GUARD_S = 120
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")


def page_after_scripts(report, profile) -> str:
    """The page's own source as it stands once its scripts have run."""
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    quiet += ("--disable-component-update", "--disable-sync", "--disable-quic", f"--user-data-dir={profile}")
    command = [BROWSER, *quiet, "--virtual-time-budget=10000", "--dump-dom", report.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_GUARD_S, check=True).stdout


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The page of a run that held, after its scripts, with one tenant whose name is markup."""
    folder = tmp_path_factory.mktemp("browser")
    plan = demo_plan(("acme", "<b>globex</b>", "initech"))
    recording = Demo(folder / "held", plan=plan).write()
    return page_after_scripts(write_report(recording.path, recording, verdicts.held()), folder / "profile")


def test_every_trace_has_the_type_that_was_asked_for(drawn):
    types = re.search(r'data-traces="([^"]*)"', drawn)[1].split()
    latencies, not_served, load, inside = 6, 3, 3, 3
    assert types == ["scatter"] * (latencies + not_served + load + inside) + ["bar"] * 4


def test_the_drawing_gives_way_to_charts_that_zoom(drawn):
    assert re.search(r'<html[^>]* data-charts="zoomable"', drawn)
    assert re.search(r'<div class="strips" style="display: none;?"', drawn)


def test_names_stay_text_in_the_charts(drawn):
    legend = re.findall(r'class="legendtext"[^>]*>(.*?)</text>', drawn)
    assert [re.sub(r"<[^>]*>", "", text) for text in legend][:3] == ["acme", "&lt;b&gt;globex&lt;/b&gt;", "initech"]
