"""docs/reference/exit-codes.md."""

from harness.model.errors import EXIT_CODE_MEANINGS
from harness.reference.markdown import page, sentence, table


def exit_codes_page() -> str:
    """Return the page."""
    rows = [(str(int(code)), sentence(meaning)) for code, meaning in EXIT_CODE_MEANINGS.items()]
    return page(
        "Exit codes",
        "They are a contract with scripts and CI: `harness run`, `check` and `prove` keep it.",
        table(("code", "meaning"), rows),
    )
