"""docs/reference/faults.md: every kind of fault with its parameters."""

from harness.faults.kinds.parameters import parameters_of
from harness.model.files.fault_kinds.declared import BUILT_IN
from harness.model.files.fault_kinds.row import FaultKind
from harness.reference.markdown import code, page, sentence, table


def faults_page() -> str:
    """Return the page."""
    return page(
        "Faults",
        "An entry of `faults:` is exactly one kind of fault, with its place and its time. "
        "`harness faults` says which of them are available on this machine.",
        *(_section(kind) for kind in BUILT_IN),
    )


def _section(kind: FaultKind) -> str:
    needs = ", ".join(need.value for need in kind.needs)
    about = table(
        ("", ""),
        [
            row
            for row in (
                ("place", kind.place.value),
                ("example", code(f"- {{{kind.example}}}")),
                ("observed by", sentence(kind.observed)),
                ("rolled back", sentence(kind.rolled_back)),
                ("needs of the driver", sentence(needs)),
                ("platforms", kind.platforms),
                ("older names", ", ".join(map(code, kind.formerly))),
            )
            if row[1]
        ],
    )
    rows = [(code(p.name), p.type, code(p.default), p.about) for p in parameters_of(kind.name)]
    keys = table(("key", "type", "default", "what it says"), rows)
    return "\n\n".join([f"## {kind.name}", sentence(kind.does), about, keys])
