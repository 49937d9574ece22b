"""What each kind of fault can be given, read from the model that scenarios are checked with."""

from functools import cache
from typing import Any

from harness.model.files.fault_kinds.declared import added_kinds, every_kind
from harness.model.files.fault_kinds.row import FaultKind, Option
from harness.model.files.faults import Fault
from harness.model.files.parameters import Parameter, parameters_in

__all__ = ["Parameter", "parameters_of"]

_BEFORE = (Option.TOXICITY, Option.STREAM, Option.SCOPE, Option.RAMP)


def parameters_of(kind: str) -> list[Parameter]:
    """Return the parameters of a kind, its own first; dots lead into a mapping: "latency.jitter"."""
    schema, options = _schema(added_kinds()), every_kind()[kind].options
    further = [option.value for option in _BEFORE if option in options]
    repeat = [Option.REPEAT.value] if Option.REPEAT in options else []
    names = (kind, *further, "start", "duration", *repeat)
    return [found for name in names for found in parameters_in(schema, name)]


@cache
def _schema(_added: tuple[FaultKind, ...]) -> dict[str, Any]:
    """Return the schema of a fault; it changes when plugins add kinds."""
    return Fault.model_json_schema()
