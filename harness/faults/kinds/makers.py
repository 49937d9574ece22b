"""From a fault to its injector: one function for each injector, named by the declarations of the kinds."""

from harness.faults.kinds.broker_faults import PoisonFault
from harness.faults.kinds.circumstances import Circumstances
from harness.faults.kinds.database_faults import DropIndexFault, HeldFault
from harness.faults.kinds.flag_fault import FlagFault
from harness.faults.kinds.http_faults import RequestFault
from harness.faults.kinds.injector import Injector
from harness.faults.kinds.kernel_faults import KernelFault
from harness.faults.kinds.link_faults import DownFault, ToxicFault
from harness.faults.kinds.process_faults import CpuStressFault, KillFault, LimitFault, PauseFault
from harness.model.errors import UsageError
from harness.model.files.fault_kinds.row import resolve
from harness.model.files.faults import Fault

_Link = ToxicFault | DownFault | RequestFault | KernelFault
_Service = KillFault | PauseFault | CpuStressFault | LimitFault | DropIndexFault | HeldFault | PoisonFault


def toxic(fault: Fault, around: Circumstances) -> Injector:
    """Make a toxic, or a rule where the fault has a scope."""
    return _on_link(ToxicFault, fault, around)


def down(fault: Fault, around: Circumstances) -> Injector:
    """Disable a link."""
    return _on_link(DownFault, fault, around)


def request(fault: Fault, around: Circumstances) -> Injector:
    """Make a rule for single requests."""
    return _on_link(RequestFault, fault, around)


def kernel(fault: Fault, around: Circumstances) -> Injector:
    """Drop packets of a link."""
    return _on_link(KernelFault, fault, around)


def kill(fault: Fault, around: Circumstances) -> Injector:
    """Kill or restart a service."""
    return _on_service(KillFault, fault, around)


def pause(fault: Fault, around: Circumstances) -> Injector:
    """Pause a service."""
    return _on_service(PauseFault, fault, around)


def cpu_stress(fault: Fault, around: Circumstances) -> Injector:
    """Keep cores busy."""
    return _on_service(CpuStressFault, fault, around)


def limit(fault: Fault, around: Circumstances) -> Injector:
    """Lower a resource limit of a service."""
    return _on_service(LimitFault, fault, around)


def drop_index(fault: Fault, around: Circumstances) -> Injector:
    """Drop an index of a database."""
    return _on_service(DropIndexFault, fault, around)


def held(fault: Fault, around: Circumstances) -> Injector:
    """Hold something of a database in a helper process."""
    return _on_service(HeldFault, fault, around)


def poison(fault: Fault, around: Circumstances) -> Injector:
    """Publish messages that no consumer can parse."""
    return _on_service(PoisonFault, fault, around)


def flag(fault: Fault, around: Circumstances) -> Injector:
    """Flip a feature flag."""
    assert around.flags is not None
    return FlagFault(fault, name=around.name, places=around.places, flags=around.flags, safety=around.safety)


def surge(fault: Fault, around: Circumstances) -> Injector:  # noqa: ARG001
    """Raise ValueError: the load makes a surge, no injector does."""
    msg = f"{around.name} is a surge: it is part of the load"
    raise ValueError(msg)


def not_available(fault: Fault, around: Circumstances) -> Injector:
    """Raise UsageError: the kind is declared, and no machine can do it yet."""
    why = resolve(fault.declared.missing)()
    msg = f"{around.name}: {fault.kind} is not available on this machine: {why}"
    raise UsageError(msg)


def _on_link(injector: type[_Link], fault: Fault, around: Circumstances) -> Injector:
    return injector(fault, name=around.name, api=around.places.proxy_api, safety=around.safety)


def _on_service(injector: type[_Service], fault: Fault, around: Circumstances) -> Injector:
    return injector(fault, name=around.name, places=around.places, safety=around.safety)
