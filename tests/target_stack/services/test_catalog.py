import pytest


def product(tenant: str, number: int) -> dict:
    return {
        "tenant": tenant,
        "sku": f"sku-{number}",
        "name": f"{tenant.title()} product {number}",
        "price_cents": 500 + 25 * number,
        "currency": "EUR",
    }


@pytest.mark.parametrize("tenant", ["acme", "globex", "initech"])
def test_each_tenant_sees_its_own_product(stack, tenant):
    reply = stack.call("GET", "/catalog/products/sku-7", tenant=tenant)
    assert (reply.status, reply.json) == (200, product(tenant, 7))


def test_the_list_pages_through_all_products_of_the_tenant(stack):
    seen, after = [], ""
    while after is not None:
        page = stack.call("GET", f"/catalog/products?limit=90&after={after}", tenant="globex").json
        assert page["tenant"] == "globex"
        seen += page["products"]
        after = page["next"]
    assert sorted(seen, key=str) == sorted((product("globex", number) for number in range(1, 201)), key=str)


@pytest.mark.parametrize("sku", ["sku-201", "SKU-1", "a'b", "%00", "%F0%9F%92%A9", "a" * 300])
def test_what_does_not_exist_is_not_found(stack, sku):
    reply = stack.call("GET", f"/catalog/products/{sku}", tenant="acme")
    assert (reply.status, reply.json["error"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=1e9", "limit=-1", "after=%00", "limit=²"])
def test_bad_paging_is_the_clients_mistake(stack, query):
    reply = stack.call("GET", f"/catalog/products?{query}".replace("²", "%C2%B2"), tenant="acme")
    assert (reply.status, reply.json["error"]) == (400, "bad_request")
