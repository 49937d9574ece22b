"""Who calls, for which tenant and until when: set once at the door of a service, read wherever a call goes out."""

from contextvars import ContextVar
from dataclasses import dataclass

from target_stack.kit.deadline import Deadline

TENANT_HEADER = "x-tenant-id"


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity; `token` is the bearer token that proves it to the next service."""

    tenant: str
    subject: str
    roles: frozenset[str]
    token: str


@dataclass(frozen=True, slots=True)
class CallContext:
    """The running request; on an open route there is no caller, at most a tenant that somebody named."""

    deadline: Deadline
    caller: Caller | None = None
    named_tenant: str = ""
    own_tenant_only: bool = True  # what names another tenant than the caller's is refused

    @property
    def tenant(self) -> str:
        """The tenant for telemetry and headers: proved by the caller's token, or merely named; "" without one."""
        return self.caller.tenant if self.caller is not None else self.named_tenant


_current: ContextVar[CallContext | None] = ContextVar("call_context", default=None)


def set_context(context: CallContext) -> None:
    """Make *context* the one of the running task and of the tasks that it starts."""
    _current.set(context)


def current_context() -> CallContext | None:
    """Return the context of the running request; None outside of one."""
    return _current.get()


def current_caller() -> Caller:
    """Return the verified caller; raise LookupError on an open route."""
    context = _current.get()
    if context is None or context.caller is None:
        raise LookupError("this route has no verified caller")
    return context.caller


def current_tenant() -> str:
    """Return the tenant of the running request for telemetry, "" without one; access goes by the caller."""
    context = _current.get()
    return context.tenant if context is not None else ""
