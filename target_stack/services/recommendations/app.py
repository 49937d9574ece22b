"""HTTP side of recommendations."""

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import bad_request, json_answer
from target_stack.kit.inputs import is_sku
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import Toolbox
from target_stack.services.recommendations.domain import Affinity

COUNT = 3
MAX_SKUS = 20


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    keys = keys_of_identity(toolbox)
    of_tenant = {tenant: Affinity() for tenant in toolbox.settings.tenants}

    async def recommend(request: web.Request) -> web.Response:
        tenant, skus = current_caller().tenant, _skus(await read_json(request))
        recommended = of_tenant[tenant].recommend(skus, COUNT)
        of_tenant[tenant].learn(skus)
        return json_answer({"tenant": tenant, "recommended": recommended})

    routes = (Route("POST", "/recommendations", recommend),)
    return Service(routes, keys.load, keys=keys, callers=("orders",))


def _skus(body: object) -> list[str]:
    skus = body.get("skus") if isinstance(body, dict) else None
    if not isinstance(skus, list) or not 1 <= len(skus) <= MAX_SKUS or not all(is_sku(sku) for sku in skus):
        raise bad_request(f"skus must be a list of 1 to {MAX_SKUS} skus")
    return skus
