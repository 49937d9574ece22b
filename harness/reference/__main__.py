"""Writes the reference pages into the folder that is given."""

import sys
from pathlib import Path

from harness.reference.pages import PAGES

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m harness.reference FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
