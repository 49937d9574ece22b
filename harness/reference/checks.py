"""docs/reference/checks.md: every check with its keys, what it stands on, and what its answers mean."""

from collections.abc import Iterator
from typing import Any

from harness.checks.catalogue import check_of
from harness.model.base import Spec
from harness.model.files.check_kinds.declared import BUILT_IN
from harness.model.files.check_kinds.of_every_run import OF_EVERY_RUN
from harness.model.files.check_kinds.row import CheckKind
from harness.model.files.checks import CheckSpec
from harness.model.files.parameters import Parameter, parameters_in
from harness.model.files.schema import json_schema
from harness.model.files.units import Bound
from harness.reference.markdown import code, page, sentence, table

_STATUSES = """Every finding of a check has one of four statuses:

| status | what it means |
|---|---|
| pass | Enough evidence decided it, and it held. |
| fail | Enough evidence decided it, and it did not hold. A critical one breaks the claim, a warning is only reported. |
| unknown | It could not be decided. The finding names the cause and the next step. |
| not exercised | What the check is about never had to act. It is shown apart, and never counted as held. |

A pass becomes unknown where one of the signals that the check stands on is not whole in the finding's window, or where
that time was void: the load was not delivered, or the machine had no core free. The row *a failure by absence* says
whether a failure can come from what is missing; it then becomes unknown too. A check that raises an exception is
unknown, and the others go on."""


def checks_page() -> str:
    """Return the page."""
    entry = [row for name in ("name", "severity") for row in _rows(name)]
    asked = [_section(kind) for kind in sorted(BUILT_IN, key=lambda kind: kind.name)]
    unasked = [_section(kind) for kind in OF_EVERY_RUN]
    return page(
        "Checks",
        _STATUSES,
        "## Checks that scenarios ask for",
        "An entry of `checks:` is exactly one check. It may also have:",
        table(_HEAD, entry),
        *asked,
        "## Checks of every run",
        "These run also when the scenario does not ask for them. They have no keys.",
        *unasked,
    )


_HEAD = ("key", "type", "default", "what it says")


def _section(kind: CheckKind) -> str:
    keys = table(_HEAD, _rows(kind.name, kind.spec)) if kind.spec else ""
    return "\n\n".join(part for part in (f"### {kind.name}", _about(kind), keys, _meaning(kind)) if part)


def _about(kind: CheckKind) -> str:
    doc = (kind.spec or check_of(kind).judge).__doc__ or ""
    return " ".join(doc.split())


def _meaning(kind: CheckKind) -> str:
    signals = ", ".join(sorted(signal.value for signal in kind.stands_on))
    rows = [
        ("pass", sentence(kind.passes)),
        ("fail", sentence(kind.fails) + (" One failure is final, whatever else happened." if kind.final else "")),
        ("unknown", sentence(kind.unknown)),
        ("not exercised", sentence(kind.not_exercised)),
        ("stands on", sentence(signals)),
        ("a failure by absence", _by_absence(kind) if kind.stands_on else ""),
    ]
    return table(("", ""), [row for row in rows if row[1]])


def _by_absence(kind: CheckKind) -> str:
    return " ".join((check_of(kind).by_absence.__doc__ or "").split())


def _rows(name: str, spec: type[Spec] | None = None) -> Iterator[tuple[str, str, str, str]]:
    for parameter in parameters_in(json_schema(CheckSpec), name):
        key = parameter.name.partition(".")[2] or parameter.name
        kind = "true or false" if parameter.type == "true" else parameter.type
        yield code(key), kind, _default(parameter, spec), parameter.about


def _default(parameter: Parameter, spec: type[Spec] | None) -> str:
    if parameter.required:
        return "must be given"
    inner: Any = spec.model_fields.get(parameter.name.partition(".")[2]) if spec else None
    if inner is not None and isinstance(inner.default, Bound):
        return code(inner.default.written())
    return code(parameter.default.lower() if parameter.default == "True" else parameter.default)
