"""Checks that other distributions declare: entry points of the group `harness.checks`, each the row of one kind.

[project.entry-points."harness.checks"]
fairness = "tenant_fairness.kind:FAIRNESS"

Every mistake is found here, before anything starts or is judged.
"""

from dataclasses import replace
from functools import cache

from harness.model.base import Spec
from harness.model.errors import HarnessError
from harness.model.files.check_kinds.declared import add_kinds
from harness.model.files.check_kinds.of_every_run import OF_EVERY_RUN
from harness.model.files.check_kinds.row import CheckKind
from harness.model.files.checks import CheckSpec
from harness.model.files.fault_kinds.row import resolve
from harness.model.plugins import declared_in, distribution_of
from harness.model.result.signal import Signal

GROUP = "harness.checks"
_HINT = "correct the plugin, or uninstall it"


@cache
def declared_by_plugins() -> dict[str, object]:
    """Import what the entry points name; return it by the plugin's description, an exception where that failed."""
    return declared_in(GROUP, CheckKind)


def load_plugins() -> list[CheckKind]:
    """Let scenarios ask for the checks that plugins declare; return these. May be repeated; no import calls it.

    Raises:
        HarnessError: a plugin is broken, or uses a name that exists; the message names the plugin.
    """
    kinds: dict[str, CheckKind] = {}
    for plugin, declared in declared_by_plugins().items():
        if why := _why_not(declared, kinds):
            msg = f"check plugin {plugin}: {why}"
            raise HarnessError(msg, hint=_HINT)
        assert isinstance(declared, CheckKind)
        kinds[declared.name] = replace(declared, origin=distribution_of(plugin))
    add_kinds(kinds.values())
    return list(kinds.values())


def _why_not(declared: object, others: dict[str, CheckKind]) -> str:
    """Say why a plugin's check cannot be used; "" where it can."""
    if not isinstance(declared, CheckKind):
        return f"it cannot be loaded: {type(declared).__name__}: {declared}"
    return _why_no_name(declared.name, others) or _why_no_declaration(declared) or _why_no_code(declared)


def _why_no_name(name: str, others: dict[str, CheckKind]) -> str:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        return f"{name!r} cannot be the name of a check"
    if hasattr(CheckSpec, name) or name in CheckSpec.model_fields or name in {kind.name for kind in OF_EVERY_RUN}:
        return f"a check already has the name or key {name!r}"
    return f"another plugin already has a check named {name!r}" if name in others else ""


def _why_no_declaration(kind: CheckKind) -> str:
    if not isinstance(kind.spec, type) or not issubclass(kind.spec, Spec):
        return "`spec` must be a class of parameters, a subclass of harness.model.base.Spec"
    if not isinstance(kind.stands_on, frozenset) or not all(isinstance(signal, Signal) for signal in kind.stands_on):
        return "`stands_on` must be a frozenset of signals, see harness.model.result.signal"
    return ""


def _why_no_code(kind: CheckKind) -> str:
    """Import what the declaration names, which finds a misspelt name before a run does."""
    try:
        functions = [resolve(reference) for reference in (kind.judge, kind.by_absence)]
    except (HarnessError, TypeError, AttributeError) as problem:
        return str(problem)
    return "" if all(map(callable, functions)) else "`judge` and `by_absence` must name functions"
