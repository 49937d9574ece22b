"""The examples of a driver and of a service run, and their pages name the files that are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENDING = ROOT / "docs" / "extending"
PAGES = sorted(EXTENDING.glob("**/README.md"))


@pytest.mark.parametrize("test", ["driver/test_running_driver.py", "service/test_greetings.py"])
def test_the_example_is_as_its_page_says(test):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXTENDING / test)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_page_links_to_files_that_exist_and_names_paths_that_exist(page):
    text = page.read_text()
    linked = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in linked if not (page.parent / link).exists()] == []
    named = re.findall(r"`((?:harness|target_stack|tests|docs)/[\w/.-]+)`", text)
    made = [name for name in named if "greetings" not in name and not (ROOT / name).exists()]
    assert [name for name in made if "NAME" not in name] == []
