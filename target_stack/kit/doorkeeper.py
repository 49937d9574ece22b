"""Who gets in at a service: which service calls, for which user of which tenant, in which role. Each asks anew."""

from dataclasses import replace

from aiohttp import hdrs, web
from opentelemetry import trace

from target_stack.kit.auth import TokenRejectedError, bearer_token
from target_stack.kit.call_context import TENANT_HEADER, CallContext, Caller, set_context
from target_stack.kit.callers import is_allowed, peer_of
from target_stack.kit.deadline import Deadline
from target_stack.kit.errors import ApiError
from target_stack.kit.keys import KeyRing
from target_stack.kit.own_tenant import check_request
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import Toolbox

_REASONS = ("unauthorized", "caller_refused", "unknown_tenant", "tenant_mismatch", "forbidden")


class Doorkeeper:
    """Admits requests, or raises the 401 or 403 that says why not; *edge*: the callers are outsiders."""

    def __init__(self, toolbox: Toolbox, keys: KeyRing | None, *, edge: bool) -> None:
        self._toolbox = toolbox
        self._keys = keys
        self._edge = edge
        self._tenants = toolbox.settings.tenants
        self._checks_roles = edge or toolbox.is_on(Protection.SERVICE_ROLES)
        identity = toolbox.identity
        self._knows_callers = identity is not None and identity.asks_callers and not edge
        for reason in _REASONS:
            toolbox.metrics.refused.labels(reason)

    async def admit(
        self, request: web.Request, deadline: Deadline, *, role: str | None, callers: tuple[str, ...]
    ) -> None:
        """Set the context of *request*: of the *callers*, on a route for *role*, None for anyone; else raise."""
        self._check_service(request, callers)
        if role is None or self._keys is None:
            set_context(CallContext(deadline, named_tenant=self._named_tenant(request)))
            return
        caller = await self._caller(self._keys, request)
        if not self._checks_roles:
            set_context(CallContext(deadline, self._as_named(caller, request), own_tenant_only=False))
            return
        if caller.tenant not in self._tenants:
            raise ApiError(403, "unknown_tenant", f"tenant {caller.tenant!r} is not served here")
        set_context(CallContext(deadline, caller))
        check_request(request, caller.tenant)
        if role not in caller.roles:
            raise ApiError(403, "forbidden", f"this needs the role {role!r}")

    def end_with_certificate(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the connection end with this answer once the certificate that opened it has expired."""
        peer = peer_of(request.transport) if self._knows_callers else None
        if peer is not None and peer.expires_s * 1e9 < self._toolbox.clock.unix_ns():
            response.force_close()

    def note(self, error: ApiError) -> None:
        """Count and mark a refusal, so that an attack shows."""
        if error.code in _REASONS:
            self._toolbox.metrics.refused.labels(error.code).inc()
            trace.get_current_span().set_attribute("security.refused", error.code)

    def _check_service(self, request: web.Request, callers: tuple[str, ...]) -> None:
        if not self._knows_callers or not self._toolbox.is_on(Protection.CALLER_AUTHORISATION):
            return
        peer = peer_of(request.transport)
        if peer is None or not is_allowed(peer.service, callers):
            name = peer.service if peer is not None else ""
            self._toolbox.log.warning("a calling service was refused", caller=name, method=request.method)
            raise ApiError(403, "caller_refused", f"the service {name!r} may not call this")

    def _as_named(self, caller: Caller, request: web.Request) -> Caller:
        """Return whom a service serves that leaves tenants to the gateway: whomever the header names."""
        named = request.headers.get(TENANT_HEADER, caller.tenant)
        return replace(caller, tenant=named) if named in self._tenants else caller

    def _named_tenant(self, request: web.Request) -> str:
        """Return the tenant that a service of ours named; what outsiders say counts for nothing."""
        named = request.headers.get(TENANT_HEADER, "")
        believed = not self._edge and self._keys is not None and named in self._tenants
        return named if believed else ""

    async def _caller(self, keys: KeyRing, request: web.Request) -> Caller:
        try:
            return await keys.verify(bearer_token(request.headers.get(hdrs.AUTHORIZATION)))
        except TokenRejectedError as error:
            raise ApiError(401, "unauthorized", str(error)) from None
