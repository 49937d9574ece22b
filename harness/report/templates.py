"""Where the templates, styles and scripts of the HTML report are found, and the Jinja environment that fills them."""

from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined

from harness.report import words


def folder() -> Traversable:
    """Return the folder of the templates: inside the wheel, or the checkout's own `reports/`."""
    in_wheel = files("harness") / "_bundled" / "reports"
    return in_wheel if in_wheel.is_dir() else Path(__file__).parents[2] / "reports"


def read(name: str) -> str:
    """Return the text of one file of that folder.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    return (folder() / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the Jinja environment: everything is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(
        ms=words.milliseconds, share=words.share, number=words.number, at=words.offset, pct=words.percent_of_width
    )
    return made
