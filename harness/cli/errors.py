"""How an error looks on the terminal."""

from rich.console import Console
from rich.markup import escape

from harness.model.errors import HarnessError


def show_error(error: HarnessError) -> None:
    """Print an error as its cause and its next step."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(_printable(str(error)))}")
    if error.hint:
        console.print(f"[bold]next:[/] {escape(_printable(error.hint))}")


def show_note(text: str) -> None:
    """Print something that the user should know, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold]note:[/] {escape(_printable(text))}")


def _printable(text: str) -> str:
    """Names from files may hold anything: control characters must not reach the terminal."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return shown.encode("utf-8", "replace").decode("utf-8")
