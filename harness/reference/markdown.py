"""Tables and headings of Markdown."""

from collections.abc import Iterable, Sequence

MADE = "<!-- made by `python -m harness.reference docs/reference`; do not edit -->"


def page(title: str, *blocks: str) -> str:
    """Return a page of blocks."""
    return "\n\n".join([f"# {title}", MADE, *(block for block in blocks if block)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; "" where there are no rows."""
    lines = [_row(cells) for cells in rows]
    return "\n".join([_row(head), "|" + "---|" * len(head), *lines]) if lines else ""


def code(text: str) -> str:
    """Return *text* as code; "" stays as it is."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """Return *text* with a capital at its beginning and a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
