"""How an error looks on the terminal."""

from rich.console import Console
from rich.markup import escape

from harness.model.errors import HarnessError


def show_error(error: HarnessError) -> None:
    """Print an error as its cause and its next step."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(str(error))}")
    if error.hint:
        console.print(f"[bold]next:[/] {escape(error.hint)}")
