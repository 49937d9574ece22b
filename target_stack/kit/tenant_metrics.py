"""Where tenants are, and how far their moves came, as metrics."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from target_stack.kit.tenancy import Tenancy
from target_stack.kit.tenant_move import MoveStep


class TenancyMetrics:
    """One gauge a tenant and model, 1 where it is; one counter a tenant and step of a move."""

    def __init__(self, registry: CollectorRegistry, tenants: Iterable[str]) -> None:
        self.home = Gauge(
            "resilience_tenant_home", "1 where the tenant is served from", ["tenant", "tenancy"], registry=registry
        )
        self.steps = Counter(
            "resilience_tenant_move_steps", "Steps of moves that were done", ["tenant", "step"], registry=registry
        )
        for tenant in tenants:
            for step in MoveStep:
                self.steps.labels(tenant, step.value)

    def show_home(self, tenant: str, home: Tenancy | None) -> None:
        """Say where *tenant* is; nowhere when it was not found yet."""
        for tenancy in Tenancy:
            self.home.labels(tenant, tenancy.value).set(int(tenancy is home))
