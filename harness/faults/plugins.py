"""Loading the fault kinds that other distributions declare, with every mistake found before anything starts."""

from dataclasses import replace

from harness.faults.acts_catalogue import act_named, acts_of
from harness.faults.plugin_kinds import declared_by_plugins
from harness.faults.safety.acts import FaultAct
from harness.model.errors import HarnessError
from harness.model.files.fault_fields import fields_of
from harness.model.files.fault_kinds.declared import BUILT_IN, add_kinds, old_names
from harness.model.files.fault_kinds.row import FaultKind, resolve
from harness.model.files.faults import Fault
from harness.model.plugins import distribution_of

_HINT = "correct the plugin, or uninstall it"


def load_plugins() -> list[FaultKind]:
    """Let scenarios use the kinds that plugins declare; return these. May be repeated; nothing calls it on import.

    Raises:
        HarnessError: a plugin is broken, or uses a name that exists; the message names the plugin.
    """
    kinds: dict[str, FaultKind] = {}
    for plugin, declared in declared_by_plugins().items():
        if why := _why_not(declared, kinds):
            msg = f"fault plugin {plugin}: {why}"
            raise HarnessError(msg, hint=_HINT)
        assert isinstance(declared, FaultKind)
        kinds[declared.name] = replace(declared, origin=distribution_of(plugin))
    add_kinds(kinds.values())
    return list(kinds.values())


def _why_not(declared: object, others: dict[str, FaultKind]) -> str:
    """Say why a plugin's kind cannot be used; "" where it can."""
    if not isinstance(declared, FaultKind):
        return f"it cannot be loaded: {type(declared).__name__}: {declared}"
    return _why_no_name(declared, others) or _why_no_code(declared)


def _why_no_name(kind: FaultKind, others: dict[str, FaultKind]) -> str:
    taken = [*Fault.model_fields, *old_names(BUILT_IN)]
    for name in (kind.name, *kind.formerly):
        if not isinstance(name, str) or not name.isidentifier():
            return f"{name!r} cannot be the name of a fault kind"
        if name in taken or hasattr(Fault, name):
            return f"a fault already has the key {name!r}"
        if name in others or name in old_names(others.values()):
            return f"another plugin already has a kind named {name!r}"
    return ""


def _why_no_code(kind: FaultKind) -> str:
    """Import everything that the declaration names, which finds a misspelt name before a run does."""
    try:
        acts = acts_of([kind])
        makers = [resolve(reference) for reference in (kind.make, kind.missing) if reference]
        fields_of([kind])
    except (HarnessError, TypeError, AttributeError) as problem:
        return str(problem)
    for what, act in acts.items():
        if not issubclass(act, FaultAct):
            return f"{act.__name__} is not a FaultAct"
        if act_named(what) is not act:
            return f"another kind of fault already has an act named {what!r}"
    return "" if all(callable(maker) for maker in makers) else "`make` and `missing` must name functions"
